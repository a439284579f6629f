import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * Runs for a given time without any connector. Arguments: seconds (default 3600) and the job's name.
 * Prints "tick N" on the TaskManager's standard output ten times a second.
 */
public class SleepingJob {
    public static void main(String[] args) throws Exception {
        long ticks = 10 * (args.length > 0 ? Long.parseLong(args[0]) : 3600);
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, ticks).map(new Tick()).sinkTo(new DiscardingSink<>());
        System.out.println("submitting");
        env.execute(args.length > 1 ? args[1] : "sleeping");
    }

    private static final class Tick implements MapFunction<Long, Long> {
        @Override
        public Long map(Long n) throws InterruptedException {
            Thread.sleep(100);
            System.out.println("tick " + n);
            return n;
        }
    }
}

import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * A main that takes its time. Arguments: seconds before the job is submitted, and after.
 */
public class SlowMain {
    public static void main(String[] args) throws Exception {
        long before = args.length > 0 ? Long.parseLong(args[0]) : 5;
        long after = args.length > 1 ? Long.parseLong(args[1]) : 0;
        Thread.sleep(1000 * before);
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, 10).sinkTo(new DiscardingSink<>());
        env.execute("slow main");
        Thread.sleep(1000 * after);
    }
}

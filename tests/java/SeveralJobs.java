import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * Has two jobs, of a second each. Argument: "async" to submit the second while the first runs; "apart" to give each an
 * environment of its own, so that Flink does not see that they are two.
 */
public class SeveralJobs {
    public static void main(String[] args) throws Exception {
        String how = args.length > 0 ? args[0] : "";
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        for (String name : new String[] {"first", "second"}) {
            if (how.equals("apart")) {
                env = StreamExecutionEnvironment.getExecutionEnvironment();
            }
            env.fromSequence(1, 10).map(new Tick()).sinkTo(new DiscardingSink<>());
            if (how.equals("async")) {
                env.executeAsync(name);
            } else {
                env.execute(name);
            }
        }
        System.out.println("main is over");
    }

    private static final class Tick implements MapFunction<Long, Long> {
        @Override
        public Long map(Long n) throws InterruptedException {
            Thread.sleep(100);
            return n;
        }
    }
}

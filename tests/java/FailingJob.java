import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * Fails. Argument: "job" (default) in a task, once it runs; "main" in main, before a job is submitted.
 */
public class FailingJob {
    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("main")) {
            throw new IllegalStateException("the reason, in main", new RuntimeException("the root, in main"));
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, 10).map(new Failing()).sinkTo(new DiscardingSink<>());
        env.execute("failing");
    }

    private static final class Failing implements MapFunction<Long, Long> {
        @Override
        public Long map(Long n) {
            throw new IllegalStateException("the reason, in a task");
        }
    }
}

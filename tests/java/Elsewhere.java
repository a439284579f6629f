import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A program that needs a class, in main and in its job, which may lie in another jar. */
public class Elsewhere {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, 3).map(new Helper()).print();
        env.execute("elsewhere");
    }

    /** What it needs. */
    public static class Helper implements MapFunction<Long, String> {
        @Override
        public String map(Long number) {
            return "helped " + number;
        }
    }
}

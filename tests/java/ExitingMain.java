import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * Calls System.exit in main. Arguments: the exit code, and "before" or "after" a job is submitted.
 */
public class ExitingMain {
    public static void main(String[] args) throws Exception {
        int code = args.length > 0 ? Integer.parseInt(args[0]) : 3;
        boolean after = args.length > 1 && args[1].equals("after");
        System.out.println("about to exit with " + code);
        if (after) {
            StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
            env.fromSequence(1, 10).sinkTo(new DiscardingSink<>());
            env.execute("exiting");
        }
        System.exit(code);
    }
}

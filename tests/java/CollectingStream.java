import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;

/** Collects a stream inside main and prints what it got. Argument: how many elements. */
public class CollectingStream {
    public static void main(String[] args) throws Exception {
        long count = args.length > 0 ? Long.parseLong(args[0]) : 10;
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        try (CloseableIterator<Long> results = env.fromSequence(1, count).executeAndCollect("collecting")) {
            while (results.hasNext()) {
                System.out.println("collected " + results.next());
            }
        }
    }
}

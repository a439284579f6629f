import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/** Keeps the cores busy with so many records: operators in a chain, a shuffle by key, state. */
public class LongJob {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, Long.parseLong(args[0]))
                .map(n -> n * 31 + 7)
                .returns(Types.LONG)
                .filter(n -> n % 3 != 0)
                .keyBy(n -> n % 1000)
                .reduce((a, b) -> a ^ b)
                .sinkTo(new DiscardingSink<>());
        env.execute("long");
    }
}

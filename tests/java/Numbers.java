import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Prints the numbers from 1 to 1000, by what every Flink since 1.17 has. */
public class Numbers {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        System.out.println("main runs");
        env.fromSequence(1, 1000).print();
        env.execute("numbers");
    }
}

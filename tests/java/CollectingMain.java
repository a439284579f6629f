import org.apache.flink.api.java.ExecutionEnvironment;

/** Prints a DataSet, which asks for the job's result inside main. Flink 1 only. */
public class CollectingMain {
    public static void main(String[] args) throws Exception {
        ExecutionEnvironment env = ExecutionEnvironment.getExecutionEnvironment();
        env.fromElements("a", "b", "c").map(text -> "collected " + text).returns(String.class).print();
    }
}

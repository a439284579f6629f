import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.flink.configuration.Configuration;

/**
 * Asks Flink's own launch helper what it makes of many configurations, in one JVM. Reads a line per
 * configuration, tab-separated: jm or tm, then key=value as often as needed. Answers each with a line,
 * tab-separated: "@ok", JVM arguments and dynamic options, or "@error" and what was thrown.
 */
public final class MemoryModel {
    private MemoryModel() {}

    public static void main(String[] args) throws Exception {
        // Flink's helper logs to standard output, which is ours to answer on.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Class<?> helper = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils");
        Method jobManager = helper.getDeclaredMethod("getJmResourceParams", Configuration.class);
        Method taskManager = helper.getDeclaredMethod("getTmResourceParams", Configuration.class);
        jobManager.setAccessible(true);
        taskManager.setAccessible(true);

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            Configuration configuration = new Configuration();
            for (int i = 1; i < fields.length; i++) {
                int equals = fields[i].indexOf('=');
                configuration.setString(fields[i].substring(0, equals), fields[i].substring(equals + 1));
            }
            out.append(ask(fields[0].equals("jm") ? jobManager : taskManager, configuration)).append('\n');
        }
        answers.print(out);
        answers.flush();
    }

    private static String ask(Method method, Configuration configuration) throws IllegalAccessException {
        try {
            return "@ok\t" + String.join("\t", (List<String>) method.invoke(null, configuration));
        } catch (InvocationTargetException e) {
            return "@error\t" + e.getCause().toString().replaceAll("\\s+", " ");
        }
    }
}

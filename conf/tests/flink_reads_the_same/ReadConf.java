import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Map;
import org.apache.flink.configuration.GlobalConfiguration;

/** Prints what Flink reads from each directory: "dir", then "ok" or "error", then hex key and value a line. */
public class ReadConf {
    public static void main(String[] dirs) {
        for (String dir : dirs) {
            System.out.println("dir " + dir);
            Map<String, String> conf;
            try {
                conf = GlobalConfiguration.loadConfiguration(dir).toMap();
            } catch (Throwable refused) {
                System.out.println("error");
                continue;
            }
            System.out.println("ok");
            conf.forEach((key, value) -> System.out.println(hex(key) + " " + hex(value)));
        }
    }

    private static String hex(String text) {
        return "x" + HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
    }
}

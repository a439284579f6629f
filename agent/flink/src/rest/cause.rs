//! Finding, in what Flink sends of a Java exception, the one line that says why.

/// Beginnings of messages that say only that something failed, where a further cause says what.
const SAY_NOTHING: [&str; 7] = [
    "Could not execute application.",
    "The main method caused an error: ",
    "Failed to execute job ",
    "Failed to submit job",
    "Could not start the JobMaster.",
    "Recovery is suppressed by ",
    "Request did not match expected format",
];

/// The line that says why, of the texts in a refusal. Where Flink sends two, the first is a general
/// one ("Internal server error.") and the second the trace.
pub(super) fn of_errors(errors: &[String]) -> String {
    let lines = errors.iter().rev().map(|text| of_trace(text));
    lines.into_iter().find(|line| !line.is_empty()).unwrap_or_else(|| "no reason given".into())
}

/// The line that says why, of a Java stack trace: the outermost cause that says more than that
/// something failed.
pub(super) fn of_trace(trace: &str) -> String {
    let chain: Vec<_> = headlines(trace).map(Throwable::parse).collect();
    let telling = (0..chain.len()).find(|&i| !chain[i].is_wrapper_of(chain.get(i + 1)));
    telling.map(|i| chain[i].to_line()).unwrap_or_default()
}

/// Whether one of the causes in a refusal is of this class, named without its package.
pub(super) fn has_class(errors: &[String], class: &str) -> bool {
    let mut throwables = errors.iter().flat_map(|text| headlines(text)).map(Throwable::parse);
    throwables.any(|throwable| throwable.simple_name() == Some(class))
}

/// The first line and every "Caused by", without stack frames, suppressed exceptions (both indented)
/// and the frame that Flink's REST server puts around.
fn headlines(trace: &str) -> impl Iterator<Item = &str> {
    let mut lines =
        trace.lines().filter(|line| !line.trim().is_empty() && *line != "<Exception on server side:");
    let first = lines.next();
    first.into_iter().chain(lines.filter_map(|line| line.strip_prefix("Caused by: ")))
}

/// One exception of a chain of causes.
struct Throwable<'a> {
    /// Its class with the package, if the line names one.
    class: Option<&'a str>,
    message: &'a str,
}

impl<'a> Throwable<'a> {
    fn parse(line: &'a str) -> Self {
        let line = line.trim();
        let (head, message) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
        let in_class = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '$' | '_');
        let is_class = head.contains('.') && !head.ends_with('.') && head.chars().all(in_class);
        if is_class { Self { class: Some(head), message } } else { Self { class: None, message: line } }
    }

    fn simple_name(&self) -> Option<&'a str> {
        self.class.and_then(|class| class.rsplit(['.', '$']).next())
    }

    /// Whether the next one says the same or more.
    fn is_wrapper_of(&self, next: Option<&Throwable<'_>>) -> bool {
        let Some(next) = next else { return false };
        SAY_NOTHING.iter().any(|beginning| self.message.starts_with(beginning))
            || self.message.is_empty()
            || !next.message.is_empty() && self.message.ends_with(next.message)
            || next.message.is_empty() && next.class.is_some_and(|class| self.message.ends_with(class))
    }

    /// Flink's own classes tell a user nothing that the message does not; others may.
    fn to_line(&self) -> String {
        match (self.class, self.simple_name()) {
            (Some(class), Some(name))
                if self.message.is_empty() || !class.starts_with("org.apache.flink.") =>
            {
                let separator = if self.message.is_empty() { "" } else { ": " };
                format!("{name}{separator}{}", self.message)
            }
            _ => self.message.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace as Java prints it, of headlines only.
    fn trace(headlines: &[&str]) -> String {
        headlines.join("\n\tat some.Class.method(Class.java:1)\n\t... 4 more\nCaused by: ")
            + "\n\tat x.Y.z(Y.java)\n"
    }

    /// What Flink 1.20.5 and 2.3.0 put around an exception in a program's `main`.
    fn in_main(message: &str, rest: &[&str]) -> String {
        let main = format!(
            "org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: {message}"
        );
        let mut all = vec![
            "org.apache.flink.runtime.rest.handler.RestHandlerException: Could not execute application.",
            "java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not execute application.",
            "org.apache.flink.util.FlinkRuntimeException: Could not execute application.",
            &main,
        ];
        all.extend(rest);
        trace(&all)
    }

    #[test]
    fn an_exit_in_main_is_named() {
        let text = "Flink user code attempted to exit JVM.";
        let exit = format!("org.apache.flink.core.security.UserSystemExitException: {text}");
        assert_eq!(of_trace(&in_main(text, &[&exit])), text);
    }

    #[test]
    fn the_users_own_exception_comes_with_its_class() {
        let causes = ["java.lang.IllegalStateException: the reason", "java.lang.RuntimeException: the root"];
        assert_eq!(of_trace(&in_main("the reason", &causes)), "IllegalStateException: the reason");
        assert_eq!(of_trace(&in_main("null", &["java.lang.NullPointerException"])), "NullPointerException");
    }

    #[test]
    fn a_duplicate_is_named() {
        let causes = [
            "org.apache.flink.util.FlinkException: Failed to execute job 'sleeping'.",
            "org.apache.flink.runtime.client.DuplicateJobSubmissionException: Job has already been submitted.",
        ];
        let trace = in_main("Failed to execute job 'sleeping'.", &causes);
        assert_eq!(of_trace(&trace), "Job has already been submitted.");
        assert!(has_class(std::slice::from_ref(&trace), "DuplicateJobSubmissionException"));
        assert!(!has_class(&[trace], "FlinkJobNotFoundException"));
    }

    #[test]
    fn a_missing_savepoint_is_found_below_all_that_wraps_it() {
        let missing = "java.io.FileNotFoundException: Cannot find '/nope'";
        let wrapped = format!("java.lang.RuntimeException: {missing}");
        let twice = format!("java.util.concurrent.CompletionException: {wrapped}");
        let causes = [
            "org.apache.flink.util.FlinkException: Failed to execute job 'x'.",
            "java.lang.RuntimeException: org.apache.flink.runtime.client.JobInitializationException: Could not start the JobMaster.",
            "org.apache.flink.runtime.client.JobInitializationException: Could not start the JobMaster.",
            &twice,
            &wrapped,
            missing,
        ];
        let line = of_trace(&in_main("Failed to execute job 'x'.", &causes));
        assert_eq!(line, "FileNotFoundException: Cannot find '/nope'");
    }

    #[test]
    fn the_trace_wins_over_the_general_line_before_it() {
        let class = "org.apache.flink.client.program.ProgramInvocationException: The program's entry point class 'Nope' was not found in the jar file.";
        let around = format!(
            "<Exception on server side:\n{}\nEnd of exception on server side>",
            trace(&[
                &format!("java.util.concurrent.CompletionException: {class}"),
                class,
                "java.lang.ClassNotFoundException: Nope"
            ])
        );
        let line = of_errors(&["Internal server error.".into(), around]);
        assert_eq!(line, "The program's entry point class 'Nope' was not found in the jar file.");
    }

    #[test]
    fn a_class_is_found_in_any_of_the_texts() {
        let trace = "<Exception on server side:\norg.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find";
        let errors = ["Internal server error.".to_string(), trace.to_string()];
        assert!(has_class(&errors, "FlinkJobNotFoundException"));
    }

    #[test]
    fn plain_texts_stay_as_they_are() {
        let text = "Unable to load requested file /nope.";
        assert_eq!(of_errors(&[text.into()]), text);
        assert_eq!(of_errors(&[]), "no reason given");
        assert_eq!(of_errors(&[String::new()]), "no reason given");
    }

    #[test]
    fn a_failed_task_is_named_below_the_restart_strategy() {
        let text = trace(&[
            "org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy",
            "java.lang.IllegalStateException: the reason, in a task",
        ]);
        assert_eq!(of_trace(&text), "IllegalStateException: the reason, in a task");
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_one_line(text in "(?s).{0,200}") {
            proptest::prop_assert!(!of_trace(&text).contains('\n'));
        }
    }
}

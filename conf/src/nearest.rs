//! Did you mean?

/// The candidate most like the word, if one is like enough to have been meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_a_stranger_finds_none() {
        let keys = ["flink.version", "flink.mirror", "java.home"];
        assert_eq!(nearest("flink.verison", keys), Some("flink.version"));
        assert_eq!(nearest("java-home", keys), Some("java.home"));
        assert_eq!(nearest("zzz", keys), None);
    }
}

//! Writing a file of Hadoop's.

use super::SiteFile;

/// The file's text. Hadoop reads the same properties from it as from the original and what that
/// included.
pub fn render(site: &SiteFile) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n");
    for property in &site.properties {
        let (name, value) = (escaped(&property.name), escaped(&property.value));
        let end = if property.is_final { "<final>true</final>" } else { "" };
        text += &format!("  <property><name>{name}</name><value>{value}</value>{end}</property>\n");
    }
    text + "</configuration>\n"
}

/// A carriage return would be read as a line feed.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;")
}

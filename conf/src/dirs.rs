//! Where kobel keeps its things on this machine.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{Category, Explain};

/// kobel's directories, after the XDG base directory specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Records of clusters: `$KOBEL_STATE_DIR`, `$XDG_STATE_HOME/kobel`, `~/.local/state/kobel`.
    pub state: PathBuf,
    /// Flink distributions: `$KOBEL_DATA_DIR`, `$XDG_DATA_HOME/kobel`, `~/.local/share/kobel`.
    pub data: PathBuf,
    /// What can be had again: `$KOBEL_CACHE_DIR`, `$XDG_CACHE_HOME/kobel`, `~/.cache/kobel`.
    pub cache: PathBuf,
    /// kobel's settings: `$KOBEL_CONFIG`, `$XDG_CONFIG_HOME/kobel/config.toml`,
    /// `~/.config/kobel/config.toml`.
    pub config_file: PathBuf,
}

/// Why there is no place for kobel's things.
#[derive(Debug, Error)]
pub enum DirsError {
    /// Neither the variable nor a home is set.
    #[error("neither {variable} nor HOME is set to an absolute path")]
    NoHome {
        /// kobel's own variable for the directory.
        variable: &'static str,
    },
    /// The directory cannot be made or looked at.
    #[error("cannot use the directory {}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another user owns it.
    #[error("refusing the directory {}: user {owner} owns it, not user {me}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our user id.
        me: u32,
    },
    /// Others may change what is in it.
    #[error("refusing the directory {}: others may write to it (mode {mode:03o})", path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Explain for DirsError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            DirsError::NoHome { variable } => Some(format!("export {variable}=/a/directory/of/yours")),
            DirsError::Writable { path, .. } => Some(format!("chmod go-w {}", path.display())),
            DirsError::Unusable { .. } | DirsError::Foreign { .. } => None,
        }
    }
}

impl Dirs {
    /// The directories that the environment names. As XDG has it, a relative path counts as unset.
    pub fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, DirsError> {
        let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let pick = |own: &'static str, xdg: &str, tail: &str, home: &str| {
            absolute(own)
                .or_else(|| absolute(xdg).map(|base| base.join(tail)))
                .or_else(|| absolute("HOME").map(|base| base.join(home).join(tail)))
                .ok_or(DirsError::NoHome { variable: own })
        };
        Ok(Self {
            state: pick("KOBEL_STATE_DIR", "XDG_STATE_HOME", "kobel", ".local/state")?,
            data: pick("KOBEL_DATA_DIR", "XDG_DATA_HOME", "kobel", ".local/share")?,
            cache: pick("KOBEL_CACHE_DIR", "XDG_CACHE_HOME", "kobel", ".cache")?,
            config_file: pick("KOBEL_CONFIG", "XDG_CONFIG_HOME", "kobel/config.toml", ".config")?,
        })
    }
}

/// Makes the directory (0700) and its parents unless it is there, and refuses one in which another
/// user could have put things: owned by another, or writable by all or a group.
pub fn ensure_private(path: &Path) -> Result<(), DirsError> {
    let unusable = |source| DirsError::Unusable { path: path.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    let found = fs::metadata(path).map_err(unusable)?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(DirsError::Foreign { path: path.into(), owner: found.uid(), me });
    }
    if found.mode() & 0o022 != 0 {
        return Err(DirsError::Writable { path: path.into(), mode: found.mode() & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn dirs(vars: &[(&str, &str)]) -> Result<Dirs, DirsError> {
        let find =
            |name: &str| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| OsString::from(value));
        Dirs::from_env(&find)
    }

    #[test]
    fn kobels_variables_win_over_xdg_and_xdg_over_home() {
        let home = dirs(&[("HOME", "/h")]).unwrap();
        assert_eq!(home.state, Path::new("/h/.local/state/kobel"));
        assert_eq!(home.data, Path::new("/h/.local/share/kobel"));
        assert_eq!(home.cache, Path::new("/h/.cache/kobel"));
        assert_eq!(home.config_file, Path::new("/h/.config/kobel/config.toml"));
        let named = dirs(&[
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/x"),
            ("XDG_CACHE_HOME", "relative"),
            ("XDG_DATA_HOME", "/x"),
            ("KOBEL_DATA_DIR", "/d"),
            ("KOBEL_CONFIG", "/c.toml"),
        ])
        .unwrap();
        assert_eq!(named.state, Path::new("/x/kobel"));
        assert_eq!(named.data, Path::new("/d"));
        assert_eq!(named.cache, home.cache, "a relative XDG path counts as unset");
        assert_eq!(named.config_file, Path::new("/c.toml"));
    }

    #[test]
    fn without_any_home_the_missing_variable_is_named() {
        let error = dirs(&[]).unwrap_err();
        assert_eq!(error.to_string(), "neither KOBEL_STATE_DIR nor HOME is set to an absolute path");
        assert_eq!(error.category(), Category::Environment);
    }

    #[test]
    fn a_private_directory_is_made_0700_and_kept() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        ensure_private(&path).unwrap();
        ensure_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_may_change_is_refused() {
        let base = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o720, 0o1777] {
            fs::set_permissions(base.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(ensure_private(base.path()), Err(DirsError::Writable { .. })), "{mode:o}");
        }
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(ensure_private(&file), Err(DirsError::Unusable { .. })));
    }
}

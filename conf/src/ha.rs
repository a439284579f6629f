//! How quickly a cluster with high availability recovers: Flink's timings as one choice, since they only work
//! when they fit each other and ZooKeeper's bounds.

use std::{fmt, str::FromStr, time::Duration};

/// Flink's key for the kind of high availability, and the one until 1.16.
pub const TYPE_KEYS: [&str; 2] = ["high-availability.type", "high-availability"];
/// Flink's key for ZooKeeper's servers.
pub const QUORUM_KEY: &str = "high-availability.zookeeper.quorum";
/// Flink's key for where it keeps what is too large for ZooKeeper.
pub const STORAGE_KEY: &str = "high-availability.storageDir";
/// Takes the place of `jobmanager.rpc.port`: a port, or ranges of which each JobManager takes one.
pub const RPC_PORT_KEY: &str = "high-availability.jobmanager.port";

/// How soon silence counts as death.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HaProfile {
    /// For networks and JVMs that never pause for long.
    Fast,
    /// For most.
    #[default]
    Standard,
    /// Flink's own timings, but for suspended connections: for networks that pause.
    Patient,
}

impl FromStr for HaProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fast" => Ok(Self::Fast),
            "standard" => Ok(Self::Standard),
            "patient" => Ok(Self::Patient),
            _ => Err(format!("must be fast, standard or patient, not {text:?}")),
        }
    }
}

impl fmt::Display for HaProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Standard => "standard",
            Self::Patient => "patient",
        })
    }
}

/// Timings of Flink's that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HaTimings {
    /// How long ZooKeeper keeps the session of a JobManager of which it hears nothing.
    pub session_timeout: Duration,
    /// How long an attempt to connect to ZooKeeper may take.
    pub connection_timeout: Duration,
    /// Between two attempts to reach ZooKeeper, at first.
    pub retry_wait: Duration,
    /// How often JobManager and TaskManagers ask each other for a sign of life.
    pub heartbeat_interval: Duration,
    /// After how long without one the other counts as dead.
    pub heartbeat_timeout: Duration,
    /// How long a TaskManager goes on after an error, or a refusal, before it registers again.
    pub registration_delay: Duration,
    /// How long a job with the strategy `exponential-delay` waits before it starts again. One that names no strategy
    /// waits [`RESTART`], whatever is configured.
    pub restart_delay: Duration,
    /// How long a slot is kept for a job whose leader is gone.
    pub slot_timeout: Duration,
}

/// What a ZooKeeper server does to what a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// It grants what was asked for.
    AsAsked,
    /// It keeps sessions longer: `minSessionTimeout`, two ticks unless set.
    Longer(Duration),
    /// It gives them up earlier: `maxSessionTimeout`, twenty ticks unless set.
    Shorter(Duration),
}

/// From a fault to the job RUNNING again, at most, as far as timings decide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The leader's process is dead, kobel knows it, and a standby is there.
    pub proven: Duration,
    /// The leader is out of reach, so that ZooKeeper's timeout decides.
    pub unproven: Duration,
    /// A TaskManager's process is dead, and there are slots to spare.
    pub task_manager: Duration,
    /// A TaskManager is out of reach.
    pub task_manager_unproven: Duration,
}

/// A standby that leads recovers its jobs and takes TaskManagers back in this time (measured: 1.3 to 1.5 s).
const TAKE_OVER: Duration = Duration::from_millis(1500);
/// So often a request is made once more, at twice the distance each time: a JobManager or TaskManager ends itself
/// after the last one, and with a short distance Flink's 3 would be over before a session is.
const RETRIES: u32 = 5;
/// Flink's default with checkpoints, `ExponentialDelayRestartBackoffTimeStrategy`: it does not ask the configuration.
const RESTART: Duration = Duration::from_secs(1);
/// A job is deployed again in this time (measured: 0.3 s).
const DEPLOY: Duration = Duration::from_millis(500);
/// How long it takes to see an end and to remove the latch (measured: 0.15 s).
const FENCE: Duration = Duration::from_millis(300);
/// ZooKeeper ends sessions at whole ticks; this is its default.
const TICK: Duration = Duration::from_secs(2);

impl HaProfile {
    /// Its timings.
    pub fn timings(self) -> HaTimings {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        match self {
            Self::Fast => HaTimings {
                // A server that is started again is there within them.
                session_timeout: s(6),
                connection_timeout: s(2),
                retry_wait: ms(500),
                heartbeat_interval: ms(500),
                heartbeat_timeout: s(4),
                registration_delay: ms(500),
                restart_delay: ms(100),
                slot_timeout: s(10),
            },
            Self::Standard => HaTimings {
                session_timeout: s(10),
                connection_timeout: s(4),
                retry_wait: s(1),
                heartbeat_interval: ms(500),
                heartbeat_timeout: s(8),
                registration_delay: s(1),
                restart_delay: ms(250),
                slot_timeout: s(20),
            },
            Self::Patient => HaTimings {
                session_timeout: s(60),
                connection_timeout: s(15),
                retry_wait: s(5),
                heartbeat_interval: s(10),
                heartbeat_timeout: s(50),
                registration_delay: s(10),
                restart_delay: s(1),
                slot_timeout: s(60),
            },
        }
    }

    /// As Flink's keys, for all that the user did not set. Those that were numbers of milliseconds in some Flink since
    /// 1.17 have no unit, which every Flink reads as milliseconds.
    ///
    /// A suspended connection is tolerated in every profile: otherwise any restart of a ZooKeeper server restarts
    /// all jobs (FLINK-10052), and the session's timeout bounds how long it can last.
    pub fn keys(self) -> Vec<(&'static str, String)> {
        let timings = self.timings();
        let text = |duration: Duration| format!("{} ms", duration.as_millis());
        let plain = |duration: Duration| duration.as_millis().to_string();
        vec![
            ("high-availability.zookeeper.client.session-timeout", plain(timings.session_timeout)),
            ("high-availability.zookeeper.client.connection-timeout", plain(timings.connection_timeout)),
            ("high-availability.zookeeper.client.retry-wait", plain(timings.retry_wait)),
            ("high-availability.zookeeper.client.max-retry-attempts", RETRIES.to_string()),
            ("high-availability.zookeeper.client.tolerate-suspended-connections", "true".into()),
            ("heartbeat.interval", plain(timings.heartbeat_interval)),
            ("heartbeat.timeout", plain(timings.heartbeat_timeout)),
            ("cluster.registration.error-delay", plain(timings.registration_delay)),
            ("cluster.registration.refused-delay", plain(timings.registration_delay)),
            ("restart-strategy.exponential-delay.initial-backoff", text(timings.restart_delay)),
            ("taskmanager.slot.timeout", text(timings.slot_timeout)),
        ]
    }
}

impl HaTimings {
    /// Whether a server that granted `granted` took the session's timeout as it was asked for.
    pub fn check(&self, granted: Duration) -> Granted {
        match granted.cmp(&self.session_timeout) {
            std::cmp::Ordering::Equal => Granted::AsAsked,
            std::cmp::Ordering::Greater => Granted::Longer(granted),
            std::cmp::Ordering::Less => Granted::Shorter(granted),
        }
    }

    /// What to expect where ZooKeeper grants sessions of this length.
    pub fn recovery(&self, granted: Duration) -> Recovery {
        let restart = RESTART.max(self.restart_delay) + DEPLOY;
        // The heartbeat that finds the connection closed, and the one after it (heartbeat.rpc-failure-threshold).
        let noticed = (self.heartbeat_interval * 2).min(self.heartbeat_timeout);
        Recovery {
            proven: FENCE + TAKE_OVER,
            unproven: granted + TICK + TAKE_OVER,
            task_manager: noticed + restart,
            task_manager_unproven: self.heartbeat_timeout + self.heartbeat_interval + restart,
        }
    }
}

impl Granted {
    /// What to tell the user, and what to change for it.
    pub fn note(self, asked: Duration) -> Option<String> {
        let (granted, why, setting) = match self {
            Granted::AsAsked => return None,
            Granted::Longer(granted) => {
                (granted, "keeps every session at least that long", "minSessionTimeout or tickTime")
            }
            Granted::Shorter(granted) => {
                (granted, "gives every session up by then", "maxSessionTimeout or tickTime")
            }
        };
        Some(format!(
            "ZooKeeper grants sessions of {}, not the {} asked for, because it {why}: {setting} in its zoo.cfg",
            seconds(granted),
            seconds(asked),
        ))
    }
}

/// For people, to a tenth of a second.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a dead JobManager costs about {}, one that is out of reach {}; a dead TaskManager {}, one that is out of reach {}",
            seconds(self.proven),
            seconds(self.unproven),
            seconds(self.task_manager),
            seconds(self.task_manager_unproven),
        )
    }
}

fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    if tenths.is_multiple_of(10) {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [HaProfile; 3] = [HaProfile::Fast, HaProfile::Standard, HaProfile::Patient];

    #[test]
    fn a_profile_is_read_as_it_is_written() {
        for profile in ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!(HaProfile::default(), HaProfile::Standard);
        for bad in ["", "Fast", "quick"] {
            assert!(bad.parse::<HaProfile>().unwrap_err().contains("fast, standard or patient"));
        }
    }

    #[test]
    fn timings_fit_each_other() {
        for profile in ALL {
            let t = profile.timings();
            assert!(t.heartbeat_timeout >= t.heartbeat_interval * 4, "{profile}: three may be lost");
            assert!(t.connection_timeout * 2 <= t.session_timeout, "{profile}: two servers can be tried");
            assert!(t.retry_wait < t.connection_timeout, "{profile}");
            assert!(t.slot_timeout > t.heartbeat_timeout, "{profile}: slots wait for the next leader");
            assert!(t.registration_delay < t.session_timeout, "{profile}");
        }
        let patience = ALL.map(|profile| profile.timings().session_timeout);
        assert!(patience.is_sorted());
    }

    #[test]
    fn every_value_is_one_of_flinks() {
        for (key, value) in ALL.iter().flat_map(|profile| profile.keys()) {
            let reads = value == "true" || crate::units::parse_duration(&value).is_ok();
            assert!(reads, "{key}: {value}");
            let number =
                key.starts_with("high-availability.zookeeper.client") || key.starts_with("heartbeat");
            assert!(!number || !value.contains(' '), "{key}: {value}: Flink 1.17 dies of a unit");
        }
    }

    #[test]
    fn what_zookeeper_grants_decides() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let fast = HaProfile::Fast.timings();
        assert_eq!(fast.check(s(6)), Granted::AsAsked);
        assert_eq!(Granted::AsAsked.note(s(6)), None);
        let note = fast.check(s(8)).note(fast.session_timeout).unwrap();
        assert!(
            note.contains("sessions of 8 s, not the 6 s") && note.contains("minSessionTimeout"),
            "{note}"
        );
        let patient = HaProfile::Patient.timings();
        let note = patient.check(s(40)).note(patient.session_timeout).unwrap();
        assert!(
            note.contains("sessions of 40 s, not the 60 s") && note.contains("maxSessionTimeout"),
            "{note}"
        );
        assert_eq!(fast.recovery(s(6)).unproven, ms(9500));
        assert_eq!(fast.recovery(s(8)).unproven, ms(11_500));
        assert_eq!(
            fast.recovery(s(8)).proven,
            fast.recovery(s(6)).proven,
            "it does not wait for the session"
        );
        let text = HaProfile::Standard.timings().recovery(s(10)).to_string();
        let expected = "a dead JobManager costs about 1.8 s, one that is out of reach 13.5 s; a dead TaskManager \
                        2.5 s, one that is out of reach 10 s";
        assert_eq!(text, expected);
    }
}

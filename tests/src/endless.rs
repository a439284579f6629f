//! A cluster by the name `ha` with a job that runs for ever and makes checkpoints, wherever it runs.

use std::time::Duration;

use kobel_kit::{Flink, Lab, compile_job, http, wait};
use serde_json::Value;

/// Until something that should be so soon is so, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(90);

/// Submits that job, and gives its id.
pub fn submit_endless(lab: &Lab, flink: &Flink) -> String {
    let jar = compile_job(flink, "SleepingJob", lab.dir());
    let run = lab.kobel(&["run", "--cluster", "ha", "-d", jar.to_str().unwrap()]).ok().stdout;
    let (_, job) = run.trim().rsplit_once("JobID ").expect("a job");
    job.to_string()
}

/// What is asked of such a cluster.
pub trait Endless {
    /// Where its commands are typed.
    fn lab(&self) -> &Lab;

    /// The job's id.
    fn job(&self) -> &str;

    /// As `kobel status` tells it.
    fn status(&self) -> Value {
        self.lab().kobel(&["status", "ha", "-o", "json"]).json()
    }

    /// Flink's answer, behind the cluster's one address.
    fn rest(&self, path: &str) -> Result<Value, String> {
        let url = self.status()["restUrl"].as_str().ok_or("no address")?.to_string();
        let reply = http::get(&format!("{url}{path}"))?;
        if reply.status != 200 {
            return Err(format!("{}: {}", reply.status, reply.body));
        }
        serde_json::from_str(&reply.body).map_err(|error| error.to_string())
    }

    /// The number of the newest complete checkpoint.
    fn checkpoint(&self) -> Result<u64, String> {
        let told = self.rest(&format!("/jobs/{}/checkpoints", self.job()))?;
        told["latest"]["completed"]["id"].as_u64().ok_or(told["latest"].to_string())
    }

    /// Waits until the job runs and has completed a checkpoint above this one.
    #[track_caller]
    fn running_since(&self, checkpoint: u64) -> u64 {
        wait::until("the job runs and has completed a checkpoint", SOON, || {
            let job = self.rest(&format!("/jobs/{}", self.job()))?;
            match self.checkpoint()? {
                newest if job["state"] == "RUNNING" && newest > checkpoint => Ok(newest),
                newest => Err(format!("{} at checkpoint {newest}, before {checkpoint}", job["state"])),
            }
        })
    }
}

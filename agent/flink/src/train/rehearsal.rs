//! A job for the JVMs of a training, so that their archives hold what takes a job from its program's `main` to its
//! end, and not only what is idle.
//!
//! Nobody's jar is at hand where a training takes place, and no compiler: the program is put together here, as a class
//! file (Java Virtual Machine Specification, chapter 4). It is about this:
//!
//! ```java
//! var env = StreamExecutionEnvironment.getExecutionEnvironment();
//! env.fromSequence(0, 1).rebalance().print();
//! env.execute();
//! Class.forName("…");  // what JobManagers of per-job clusters have beside
//! ```

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::UNFINISHED;
use crate::{
    FlinkRest, RestError,
    rest::{Effect, RunRequest},
};

/// How long the job may take, on a loaded machine at low priority.
const OVER: Duration = Duration::from_secs(120);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

const CLASS: &str = "kobel/Rehearsal";
const ENV: &str = "org/apache/flink/streaming/api/environment/StreamExecutionEnvironment";
const STREAM: &str = "org/apache/flink/streaming/api/datastream/DataStream";

/// The classes of per-job clusters that every Flink from 1.17 to 2.3 has; the first one that is not there ends `main`,
/// when its job is submitted already.
const PER_JOB: [&str; 8] = [
    "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint",
    "org.apache.flink.client.program.DefaultPackagedProgramRetriever",
    "org.apache.flink.client.deployment.application.ApplicationDispatcherLeaderProcessFactoryFactory",
    "org.apache.flink.client.deployment.application.ApplicationDispatcherGatewayServiceFactory",
    "org.apache.flink.client.deployment.application.executors.EmbeddedExecutorServiceLoader",
    "org.apache.flink.client.deployment.application.executors.EmbeddedExecutor",
    "org.apache.flink.runtime.jobmaster.MiniDispatcherRestEndpoint",
    "org.apache.flink.client.deployment.application.ApplicationDispatcherBootstrap",
];

/// No job was run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RehearsalError {
    #[error("cannot write the program")]
    Jar(#[from] io::Error),
    #[error(transparent)]
    Rest(#[from] RestError),
    #[error("its job was not over after {} s", OVER.as_secs())]
    Late,
}

/// Runs the job in the cluster of the training; returns when it is over.
pub(super) async fn rehearse(rest: &FlinkRest, dir: &Path) -> Result<(), RehearsalError> {
    let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir)?;
    let jar = place.path().join("rehearsal.jar");
    write_jar(&jar)?;
    let id = rest.upload_jar(&jar, Arc::default()).await?;
    match rest.run_jar(&id, &RunRequest::default(), OVER).await {
        // What `main` threw it threw behind its job.
        Err(error) if error.effect() == Effect::NotApplied => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let deadline = Instant::now() + OVER;
    while Instant::now() < deadline {
        let jobs = rest.jobs().await?;
        if !jobs.is_empty() && jobs.iter().all(|job| job.state.is_terminal()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(RehearsalError::Late)
}

fn write_jar(path: &Path) -> io::Result<()> {
    let mut jar = ZipWriter::new(fs::File::create(path)?);
    let manifest = format!("Manifest-Version: 1.0\r\nMain-Class: {}\r\n\r\n", CLASS.replace('/', "."));
    for (name, bytes) in
        [("META-INF/MANIFEST.MF".to_string(), manifest.into_bytes()), (format!("{CLASS}.class"), program())]
    {
        jar.start_file(name, SimpleFileOptions::default())?;
        io::Write::write_all(&mut jar, &bytes)?;
    }
    jar.finish()?;
    Ok(())
}

/// The class file of the program.
fn program() -> Vec<u8> {
    let mut pool = Pool::default();
    let source = format!("(JJ)L{STREAM}Source;");
    let code = [
        invoke(STATIC, pool.method(ENV, "getExecutionEnvironment", &format!("()L{ENV};"))),
        vec![ASTORE_1, ALOAD_1, LCONST_0, LCONST_1],
        invoke(VIRTUAL, pool.method(ENV, "fromSequence", &source)),
        invoke(VIRTUAL, pool.method(STREAM, "rebalance", &format!("()L{STREAM};"))),
        invoke(VIRTUAL, pool.method(STREAM, "print", &format!("()L{STREAM}Sink;"))),
        vec![POP, ALOAD_1],
        invoke(VIRTUAL, pool.method(ENV, "execute", "()Lorg/apache/flink/api/common/JobExecutionResult;")),
        vec![POP],
        PER_JOB.iter().flat_map(|name| load(&mut pool, name)).collect(),
        vec![RETURN],
    ]
    .concat();
    let (this, parent) = (pool.class(CLASS), pool.class("java/lang/Object"));
    let (main, descriptor) = (pool.text("main"), pool.text("([Ljava/lang/String;)V"));
    let attribute = pool.text("Code");

    let mut class = vec![0xCA, 0xFE, 0xBA, 0xBE];
    let mut put = |numbers: &[u16]| numbers.iter().for_each(|n| class.extend(n.to_be_bytes()));
    put(&[0, JAVA_8, pool.entries + 1]);
    class.extend(&pool.bytes);
    let mut put = |numbers: &[u16]| numbers.iter().for_each(|n| class.extend(n.to_be_bytes()));
    // No interfaces, no fields, one method with one attribute.
    put(&[PUBLIC | SUPER, this, parent, 0, 0, 1, PUBLIC | STATIC_METHOD, main, descriptor, 1, attribute]);
    // The attribute's length, its stack and variables, the code, and neither handlers nor attributes.
    let length = code.len() as u32;
    class.extend((length + 12).to_be_bytes());
    class.extend([0, 5, 0, 2]);
    class.extend(length.to_be_bytes());
    class.extend(code);
    // No attributes of the class either.
    class.extend([0; 6]);
    class
}

/// The class file's version: that of Java 8.
const JAVA_8: u16 = 52;
const PUBLIC: u16 = 0x0001;
const STATIC_METHOD: u16 = 0x0008;
const SUPER: u16 = 0x0020;

const LCONST_0: u8 = 0x09;
const LCONST_1: u8 = 0x0A;
const LDC_W: u8 = 0x13;
const ALOAD_1: u8 = 0x2B;
const ASTORE_1: u8 = 0x4C;
const POP: u8 = 0x57;
const RETURN: u8 = 0xB1;
const VIRTUAL: u8 = 0xB6;
const STATIC: u8 = 0xB8;

fn invoke(how: u8, method: u16) -> Vec<u8> {
    let [high, low] = method.to_be_bytes();
    vec![how, high, low]
}

/// Code that loads a class.
fn load(pool: &mut Pool, name: &str) -> Vec<u8> {
    let [high, low] = pool.string(name).to_be_bytes();
    let for_name = pool.method("java/lang/Class", "forName", "(Ljava/lang/String;)Ljava/lang/Class;");
    [vec![LDC_W, high, low], invoke(STATIC, for_name), vec![POP]].concat()
}

/// A class file's pool of constants. What is in it twice harms nobody.
#[derive(Default)]
struct Pool {
    entries: u16,
    bytes: Vec<u8>,
}

impl Pool {
    fn add(&mut self, tag: u8, body: &[u8]) -> u16 {
        self.bytes.push(tag);
        self.bytes.extend(body);
        self.entries += 1;
        self.entries
    }

    fn pair(&mut self, tag: u8, first: u16, second: u16) -> u16 {
        self.add(tag, &[first.to_be_bytes(), second.to_be_bytes()].concat())
    }

    fn text(&mut self, text: &str) -> u16 {
        self.add(1, &[&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat())
    }

    fn class(&mut self, name: &str) -> u16 {
        let name = self.text(name);
        self.add(7, &name.to_be_bytes())
    }

    fn string(&mut self, value: &str) -> u16 {
        let value = self.text(value);
        self.add(8, &value.to_be_bytes())
    }

    fn method(&mut self, class: &str, name: &str, descriptor: &str) -> u16 {
        let class = self.class(class);
        let (name, descriptor) = (self.text(name), self.text(descriptor));
        let name_and_type = self.pair(12, name, descriptor);
        self.pair(10, class, name_and_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_a_class_file() {
        let class = program();
        assert_eq!(class[..8], [0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 52]);
        assert!(class.len() < 4096, "{}", class.len());
        let dir = tempfile::tempdir().unwrap();
        let jar = dir.path().join("a.jar");
        write_jar(&jar).unwrap();
        let names: Vec<_> = zip::ZipArchive::new(fs::File::open(&jar).unwrap())
            .unwrap()
            .file_names()
            .map(String::from)
            .collect();
        assert_eq!(names, ["META-INF/MANIFEST.MF", "kobel/Rehearsal.class"]);
    }
}

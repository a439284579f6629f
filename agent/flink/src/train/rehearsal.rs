//! A job for the JVMs of a training, so that their archives hold what takes a job from its program's `main` to its
//! end, and not only what is idle.
//!
//! Nobody's jar is at hand where a training takes place, and no compiler: the program is put together here, as a class
//! file (Java Virtual Machine Specification, chapter 4). It is about this:
//!
//! ```java
//! var env = StreamExecutionEnvironment.getExecutionEnvironment();
//! var stream = env.fromSequence(0, 1).rebalance();
//! stream.print();
//! try {                                                              // the client of HDFS, where that is it
//!     var path = new Path("hdfs://…");
//!     path.getFileSystem().exists(path);                             // in the JobManager
//!     stream.sinkTo(FileSink.forRowFormat(path, new SimpleStringEncoder()).build());   // in the TaskManager
//! } catch (Throwable absent) { }
//! env.execute();
//! try { Class.forName("…"); } catch (Throwable absent) { }  // of what other clusters have beside
//! ```

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::UNFINISHED;
use crate::{FlinkRest, RestError, rest::RunRequest};

/// How long the job may take, on a loaded machine at low priority.
const OVER: Duration = Duration::from_secs(120);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

const CLASS: &str = "kobel/Rehearsal";
const ENV: &str = "org/apache/flink/streaming/api/environment/StreamExecutionEnvironment";
const STREAM: &str = "org/apache/flink/streaming/api/datastream/DataStream";
const PATH: &str = "org/apache/flink/core/fs/Path";
const FILES: &str = "org/apache/flink/core/fs/FileSystem";
const ENCODER: &str = "org/apache/flink/api/common/serialization/SimpleStringEncoder";
const SINK: &str = "org/apache/flink/connector/file/sink/FileSink";

/// Classes of clusters without high availability, and of per-job clusters. Some are not in every Flink.
const BESIDE: [&str; 19] = [
    "org.apache.flink.runtime.highavailability.nonha.standalone.StandaloneHaServices",
    "org.apache.flink.runtime.highavailability.nonha.embedded.EmbeddedJobResultStore",
    "org.apache.flink.runtime.leaderelection.StandaloneLeaderElection",
    "org.apache.flink.runtime.leaderretrieval.StandaloneLeaderRetrievalService",
    "org.apache.flink.runtime.checkpoint.StandaloneCheckpointRecoveryFactory",
    // Up to 1.20, and from 2.0 on.
    "org.apache.flink.runtime.jobmanager.StandaloneJobGraphStore",
    "org.apache.flink.runtime.jobmanager.StandaloneExecutionPlanStore",
    "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint",
    "org.apache.flink.container.entrypoint.StandaloneApplicationClusterConfigurationParserFactory",
    "org.apache.flink.client.program.DefaultPackagedProgramRetriever",
    "org.apache.flink.client.program.artifact.ArtifactFetchManager",
    "org.apache.flink.client.deployment.application.FromJarEntryClassInformationProvider",
    "org.apache.flink.client.deployment.application.ApplicationDispatcherLeaderProcessFactoryFactory",
    "org.apache.flink.client.deployment.application.ApplicationDispatcherGatewayServiceFactory",
    "org.apache.flink.client.deployment.application.executors.EmbeddedExecutorServiceLoader",
    "org.apache.flink.client.deployment.application.executors.EmbeddedExecutor",
    "org.apache.flink.runtime.jobmaster.MiniDispatcherRestEndpoint",
    // Up to 2.2, and from 2.3 on.
    "org.apache.flink.client.deployment.application.ApplicationDispatcherBootstrap",
    "org.apache.flink.client.deployment.application.PackagedProgramApplication",
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

/// Runs the job in the cluster of the training; returns when it is over. What it writes goes to `output`, or where
/// nothing is left of it.
pub(super) async fn rehearse(
    rest: &FlinkRest,
    dir: &Path,
    output: Option<&str>,
) -> Result<(), RehearsalError> {
    let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(dir)?;
    let jar = place.path().join("rehearsal.jar");
    let here = format!("file://{}", place.path().join("output").display());
    write_jar(&jar, output.unwrap_or(&here))?;
    let id = rest.upload_jar(&jar, Arc::default()).await?;
    rest.run_jar(&id, &RunRequest::default(), OVER).await?;
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

fn write_jar(path: &Path, output: &str) -> io::Result<()> {
    let mut jar = ZipWriter::new(fs::File::create(path)?);
    let manifest = format!("Manifest-Version: 1.0\r\nMain-Class: {}\r\n\r\n", CLASS.replace('/', "."));
    let class = (format!("{CLASS}.class"), program(output));
    for (name, bytes) in [("META-INF/MANIFEST.MF".to_string(), manifest.into_bytes()), class] {
        jar.start_file(name, SimpleFileOptions::default())?;
        io::Write::write_all(&mut jar, &bytes)?;
    }
    jar.finish()?;
    Ok(())
}

/// The class file of the program.
fn program(output: &str) -> Vec<u8> {
    let mut pool = Pool::default();
    let source = format!("(JJ)L{STREAM}Source;");
    let mut code = Code::default();
    code.add([
        invoke(STATIC, pool.method(ENV, "getExecutionEnvironment", &format!("()L{ENV};"))),
        vec![ASTORE_1, ALOAD_1, LCONST_0, LCONST_1],
        invoke(VIRTUAL, pool.method(ENV, "fromSequence", &source)),
        invoke(VIRTUAL, pool.method(STREAM, "rebalance", &format!("()L{STREAM};"))),
        vec![ASTORE_2, ALOAD_2],
        invoke(VIRTUAL, pool.method(STREAM, "print", &format!("()L{STREAM}Sink;"))),
        vec![POP],
    ]);
    code.try_to(files(&mut pool, output));
    code.add([
        vec![ALOAD_1],
        invoke(VIRTUAL, pool.method(ENV, "execute", "()Lorg/apache/flink/api/common/JobExecutionResult;")),
        vec![POP],
    ]);
    for name in BESIDE {
        code.try_to(load(&mut pool, name));
    }
    code.add([vec![RETURN]]);
    let Code { bytes: code, handlers } = code;
    let (this, parent) = (pool.class(CLASS), pool.class("java/lang/Object"));
    let (main, descriptor) = (pool.text("main"), pool.text("([Ljava/lang/String;)V"));
    let attribute = pool.text("Code");

    // Stack, variables, the code, what it catches where, and no attributes.
    let length = (code.len() as u32).to_be_bytes();
    let code =
        [&[0, 6, 0, 4], &length[..], &code, &be(&[handlers.len() as u16]), &be(&handlers.concat()), &[0, 0]];
    let code = code.concat();
    [
        &[0xCA, 0xFE, 0xBA, 0xBE],
        &be(&[0, JAVA_5, pool.entries + 1])[..],
        &pool.bytes,
        // No interfaces, no fields, one method with one attribute.
        &be(&[PUBLIC | SUPER, this, parent, 0, 0, 1, PUBLIC | STATIC_METHOD, main, descriptor, 1, attribute]),
        &(code.len() as u32).to_be_bytes(),
        &code,
        // No attributes of the class.
        &[0, 0],
    ]
    .concat()
}

fn be(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The class file's version, the last one whose code needs no maps of the stack.
const JAVA_5: u16 = 49;
const PUBLIC: u16 = 0x0001;
const STATIC_METHOD: u16 = 0x0008;
const SUPER: u16 = 0x0020;

const LCONST_0: u8 = 0x09;
const LCONST_1: u8 = 0x0A;
const LDC_W: u8 = 0x13;
const ALOAD_1: u8 = 0x2B;
const ALOAD_2: u8 = 0x2C;
const ALOAD_3: u8 = 0x2D;
const ASTORE_1: u8 = 0x4C;
const ASTORE_2: u8 = 0x4D;
const ASTORE_3: u8 = 0x4E;
const POP: u8 = 0x57;
const DUP: u8 = 0x59;
const GOTO: u8 = 0xA7;
const RETURN: u8 = 0xB1;
const VIRTUAL: u8 = 0xB6;
const SPECIAL: u8 = 0xB7;
const STATIC: u8 = 0xB8;
const NEW: u8 = 0xBB;

/// What a method does, and where it catches what.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
    handlers: Vec<[u16; 4]>,
}

impl Code {
    fn add<const N: usize>(&mut self, parts: [Vec<u8>; N]) {
        self.bytes.extend(parts.concat());
    }

    /// What this throws is dropped.
    fn try_to(&mut self, code: Vec<u8>) {
        let start = self.bytes.len() as u16;
        self.bytes.extend(code);
        let handler = self.bytes.len() as u16;
        // Behind the handler.
        self.bytes.extend([GOTO, 0, 4, POP]);
        self.handlers.push([start, handler, handler + 3, 0]);
    }
}

/// An instruction that names a method, or a class.
fn invoke(how: u8, what: u16) -> Vec<u8> {
    let [high, low] = what.to_be_bytes();
    vec![how, high, low]
}

/// Code that leaves a text on the stack.
fn text(pool: &mut Pool, text: &str) -> Vec<u8> {
    let [high, low] = pool.string(text).to_be_bytes();
    vec![LDC_W, high, low]
}

/// Code that loads a class.
fn load(pool: &mut Pool, name: &str) -> Vec<u8> {
    let for_name = pool.method("java/lang/Class", "forName", "(Ljava/lang/String;)Ljava/lang/Class;");
    [text(pool, name), invoke(STATIC, for_name), vec![POP]].concat()
}

/// Code that leaves a new object on the stack.
fn new(pool: &mut Pool, class: &str, descriptor: &str, args: Vec<u8>) -> Vec<u8> {
    let (of, made) = (pool.class(class), pool.method(class, "<init>", descriptor));
    [invoke(NEW, of), vec![DUP], args, invoke(SPECIAL, made)].concat()
}

/// Code that looks for a file, and has the stream written to it.
fn files(pool: &mut Pool, output: &str) -> Vec<u8> {
    let url = text(pool, output);
    let format = format!(
        "(L{PATH};Lorg/apache/flink/api/common/serialization/Encoder;)L{SINK}$DefaultRowFormatBuilder;"
    );
    let sink = format!("(Lorg/apache/flink/api/connector/sink2/Sink;)L{STREAM}Sink;");
    [
        new(pool, PATH, "(Ljava/lang/String;)V", url),
        vec![ASTORE_3, ALOAD_3],
        invoke(VIRTUAL, pool.method(PATH, "getFileSystem", &format!("()L{FILES};"))),
        vec![ALOAD_3],
        invoke(VIRTUAL, pool.method(FILES, "exists", &format!("(L{PATH};)Z"))),
        vec![POP, ALOAD_2, ALOAD_3],
        new(pool, ENCODER, "()V", Vec::new()),
        invoke(STATIC, pool.method(SINK, "forRowFormat", &format)),
        invoke(VIRTUAL, pool.method(&format!("{SINK}$RowFormatBuilder"), "build", &format!("()L{SINK};"))),
        invoke(VIRTUAL, pool.method(STREAM, "sinkTo", &sink)),
        vec![POP],
    ]
    .concat()
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
        let class = program("file:///tmp/x");
        assert_eq!(class[..8], [0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 49]);
        assert!(class.len() < 8192, "{}", class.len());
        let dir = tempfile::tempdir().unwrap();
        let jar = dir.path().join("a.jar");
        write_jar(&jar, "file:///tmp/x").unwrap();
        let mut jar = zip::ZipArchive::new(fs::File::open(&jar).unwrap()).unwrap();
        let mut read = Vec::new();
        io::Read::read_to_end(&mut jar.by_name("kobel/Rehearsal.class").unwrap(), &mut read).unwrap();
        assert_eq!(read, class);
    }
}

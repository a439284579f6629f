//! Every call of a submit fails once, in each way; the next submit succeeds, and gc finds what is left.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kobel_staging::Attempt;

use super::{memory::Fault, *};

async fn submit(store: &Staging, blob: &Blob, app: &AppId) -> Result<(), StagingError> {
    store.ensure(blob, app, &|_| ()).await?;
    let dir = store.application(app).await?;
    dir.put("plan.json", "{}").await?;
    Ok(())
}

/// All paths below the base that are not directories' own.
fn files(memory: &Memory) -> Vec<String> {
    let all = memory.below(BASE);
    let inside = |dir: &String| all.iter().any(|path| path.starts_with(&format!("{dir}/")));
    let kept = ["blobs", "leases", "apps"].map(|name| format!("{BASE}/{name}"));
    all.iter().filter(|path| !inside(path) && !kept.contains(path)).cloned().collect()
}

#[tokio::test]
async fn wherever_a_submit_is_cut_the_next_succeeds_and_nothing_is_left_that_gc_does_not_find() {
    let blob = blob(1);
    for fault in [Fault::Refused, Fault::ReplyLost, Fault::Dead] {
        let mut survived = 0;
        for call in 0.. {
            let memory = Memory::with_homes(&["ann"]);
            let store = store(memory.as_user("ann"));
            memory.fail_at(call, fault);
            let first = submit(&store, &blob, &app(1)).await;
            let Some(met) = memory.heal() else {
                println!("{fault:?}: {call} calls, {survived} of the faults went unnoticed");
                break;
            };
            survived += usize::from(first.is_ok());
            // The names tell whether a rename without a reply was done.
            let unnoticed = fault == Fault::ReplyLost && met == Attempt::Rename;
            assert!(first.is_ok() || !unnoticed, "{fault:?} at {call}: {first:?}");
            memory.pass(Duration::from_secs(1));

            submit(&store, &blob, &app(2)).await.unwrap_or_else(|e| panic!("{fault:?} at {call}: {e}"));
            let whole = memory.below(&format!("{BASE}/blobs"));
            let whole: Vec<_> = whole.iter().filter(|path| !path.contains(".partial-")).collect();
            assert_eq!(whole.len(), 1, "{fault:?} at {call}: {whole:?}");
            assert_eq!(Digest::of(&memory.content(whole[0]).unwrap()), blob.digest);

            // Time passes, both applications end: everything is found, and goes.
            memory.pass(Duration::from_secs(8 * 24 * 3600));
            let rules = rules(memory.now(), &|_| true);
            for leftover in store.leftovers(rules).await.unwrap() {
                assert!(store.clear(&leftover, rules).await.unwrap(), "{leftover:?}");
            }
            assert_eq!(files(&memory), Vec::<String>::new(), "{fault:?} at {call}");
        }
    }
}

#[tokio::test]
async fn where_another_server_may_take_over_an_upload_that_is_cut_begins_again() {
    let blob = blob(1);
    for fault in [Fault::Refused, Fault::ReplyLost] {
        let mut again = 0;
        for call in 0.. {
            let memory = Memory::with_homes(&["ann"]);
            let store = store(memory.as_user("ann"));
            memory.fail_over();
            memory.fail_at(call, fault);
            let sent = AtomicU64::new(0);
            let count = |more| {
                sent.fetch_add(more, Ordering::Relaxed);
            };
            let done = store.ensure(&blob, &app(1), &count).await;
            let Some(met) = memory.heal() else { break };
            // What is asked is asked again by the file system itself.
            if let Attempt::Create | Attempt::Write | Attempt::Close = met {
                again += 1;
                assert_eq!(done.unwrap_or_else(|e| panic!("{met} at {call}: {e}")).size, blob.size);
                assert_eq!(sent.into_inner(), blob.size, "nothing is told twice");
                assert_eq!(memory.below(&format!("{BASE}/blobs")).len(), 1);
            }
        }
        assert!(again >= 5, "the lease and the content: {again}");
    }
}

#[tokio::test]
async fn an_upload_whose_task_is_dropped_leaves_a_partial_that_gc_finds() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    let (blob, begun) = (blob(1), AtomicBool::new(false));
    let begin = |_| begun.store(true, Ordering::Relaxed);
    let app = app(1);
    let mut upload = Box::pin(store.ensure(&blob, &app, &begin));
    while !begun.load(Ordering::Relaxed) {
        assert!(futures_util::poll!(&mut upload).is_pending());
        tokio::task::yield_now().await;
    }
    drop(upload);
    let left = memory.below(&format!("{BASE}/blobs"));
    assert!(left.len() == 1 && left[0].contains(".partial-"), "{left:?}");
    assert!(store.leftovers(rules(memory.now(), &|_| false)).await.unwrap().is_empty(), "it may still go on");
    memory.pass(Duration::from_secs(25 * 3600));
    let found = store.leftovers(rules(memory.now(), &|_| false)).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.path).collect::<Vec<_>>(), left.iter().collect::<Vec<_>>());
    assert!(found[0].size > 0);
}

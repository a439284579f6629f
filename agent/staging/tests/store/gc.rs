//! What gc takes and what it leaves.

use std::{future::poll_fn, pin::Pin, task::Poll};

use kobel_staging::What;

use super::*;

const DAYS: Duration = Duration::from_secs(8 * 24 * 3600);

async fn kinds(store: &Staging, rules: Rules<'_>) -> Vec<What> {
    store.leftovers(rules).await.expect("a survey").into_iter().map(|it| it.what).collect()
}

#[tokio::test]
async fn only_what_is_over_or_old_is_found_and_a_dry_run_changes_nothing() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    let (used, unused) = (blob(1), blob(2));
    store.ensure(&used, &app(1), &|_| ()).await.unwrap();
    store.ensure(&unused, &app(2), &|_| ()).await.unwrap();
    for n in [1, 2] {
        store.application(&app(n)).await.unwrap().put("plan.json", "{}").await.unwrap();
    }
    let cluster = "etl".parse().unwrap();
    let history = store.history(&cluster, "2026-11-21T11:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(history.path(), format!("{BASE}/history/etl-20261121T110000"));
    history.put("result.json", "{}").await.unwrap();
    assert_eq!(store.applications().await.unwrap(), [app(1), app(2)].into());

    let over = |id: &AppId| *id == app(2);
    let young = rules(memory.now(), &over);
    assert_eq!(kinds(&store, young).await, [What::Application(app(2))], "its directory goes at once");
    let nobody = |_: &AppId| false;
    assert_eq!(kinds(&store, rules(memory.now(), &nobody)).await, []);

    memory.pass(DAYS);
    let before = memory.below(BASE);
    let old = rules(memory.now(), &over);
    let found = store.leftovers(old).await.unwrap();
    let wanted = [What::Application(app(2)), What::History, What::Blob(unused.digest), What::Lease(app(2))];
    assert_eq!(found.iter().map(|it| it.what.clone()).collect::<Vec<_>>(), wanted);
    assert_eq!(found.iter().map(|it| it.size).collect::<Vec<_>>(), [2, 2, unused.size, 0]);
    assert!(found.iter().all(|it| it.age >= DAYS));
    assert_eq!(memory.below(BASE), before);

    for leftover in &found {
        assert!(store.clear(leftover, old).await.unwrap());
    }
    assert_eq!(kinds(&store, old).await, []);
    let staged = store.ensure(&used, &app(3), &|_| ()).await.unwrap();
    assert_eq!(staged.sent, 0, "what a living application uses is kept");
}

#[tokio::test]
async fn a_content_used_lately_is_kept_though_it_was_uploaded_long_ago() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    store.ensure(&blob(1), &app(1), &|_| ()).await.unwrap();
    memory.pass(DAYS);
    store.ensure(&blob(1), &app(2), &|_| ()).await.unwrap();
    let over = |_: &AppId| true;
    assert_eq!(kinds(&store, rules(memory.now(), &over)).await, [What::Lease(app(1))]);
}

#[tokio::test]
async fn a_content_asked_for_between_finding_and_clearing_stays() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    let first = store.ensure(&blob(1), &app(1), &|_| ()).await.unwrap();
    memory.pass(DAYS);
    let over = |id: &AppId| *id == app(1);
    let rules = rules(memory.now(), &over);
    let found = store.leftovers(rules).await.unwrap();
    assert_eq!(found[0].what, What::Blob(blob(1).digest));
    let staged = store.ensure(&blob(1), &app(2), &|_| ()).await.unwrap();
    assert_eq!(staged.sent, 0);
    assert!(!store.clear(&found[0], rules).await.unwrap());
    let again = store.ensure(&blob(1), &app(2), &|_| ()).await.unwrap();
    assert_eq!((again.path, again.mtime, again.sent), (first.path, first.mtime, 0));
}

/// Lets it make so many calls of the file system, and says whether it is done.
async fn steps<T>(work: &mut Pin<Box<impl Future<Output = T>>>, steps: usize) -> Option<T> {
    for _ in 0..steps {
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn however_clearing_and_asking_meet_who_asked_has_the_content() {
    let (mut cleared, mut kept) = (0, 0);
    for (ask_first, calls) in (0..60).flat_map(|calls| [(true, calls), (false, calls)]) {
        let memory = Memory::with_homes(&["ann"]);
        let store = store(memory.as_user("ann"));
        let (small, first, second) = (
            Blob { size: 3, digest: Digest::of(b"abc"), source: Source::Bytes((&b"abc"[..]).into()) },
            app(1),
            app(2),
        );
        store.ensure(&small, &first, &|_| ()).await.unwrap();
        memory.pass(DAYS);
        let over = |id: &AppId| *id == app(1);
        let rules = rules(memory.now(), &over);
        let found = store.leftovers(rules).await.unwrap();
        let mut ask = Box::pin(store.ensure(&small, &second, &|_| ()));
        let mut clear = Box::pin(store.clear(&found[0], rules));
        let (asked, gone) = if ask_first {
            let begun = steps(&mut ask, calls).await;
            let gone = clear.await;
            (if let Some(done) = begun { done } else { ask.await }, gone)
        } else {
            let begun = steps(&mut clear, calls).await;
            let asked = ask.await;
            (asked, if let Some(done) = begun { done } else { clear.await })
        };
        let (asked, gone) = (asked.unwrap(), gone.unwrap());
        let content = memory.content(&asked.path);
        assert_eq!(content.as_deref(), Some(&b"abc"[..]), "ask first: {ask_first}, after {calls} calls");
        let blobs = memory.below(&format!("{BASE}/blobs"));
        assert_eq!(blobs, [asked.path], "ask first: {ask_first}, after {calls} calls");
        (cleared, kept) = (cleared + usize::from(gone), kept + usize::from(!gone));
    }
    assert!(cleared > 0 && kept > 0, "{cleared} cleared, {kept} kept");
}

#[tokio::test]
async fn what_is_not_ours_is_never_cleared() {
    let memory = Memory::with_homes(&["ann"]);
    let store = store(memory.as_user("ann"));
    store.ensure(&blob(1), &app(1), &|_| ()).await.unwrap();
    memory.plant(&format!("{BASE}/blobs/notes.txt"), "ann", 0o644, Some(b"mine"));
    memory.plant(&format!("{BASE}/blobs/{}.bin", Digest::of(b"x")), "mallory", 0o644, Some(b"x"));
    memory.plant(&format!("{BASE}/leases/notes"), "ann", 0o644, Some(b""));
    memory.plant(&format!("{BASE}/apps"), "ann", 0o700, None);
    memory.plant(&format!("{BASE}/apps/a.b"), "ann", 0o700, None);
    memory.pass(DAYS);
    let over = |_: &AppId| true;
    assert_eq!(
        kinds(&store, rules(memory.now(), &over)).await,
        [What::Blob(blob(1).digest), What::Lease(app(1))]
    );
    let nothing = Staging::new(memory.as_user("bob"), "/user/bob/.kobel", &[], &BTreeSet::new());
    assert_eq!(kinds(&nothing, rules(memory.now(), &over)).await, []);
}

//! The tables beside the journal: a mirror in which a cut journal is seen, and nothing that trading depends on.

use std::fs;
use std::path::PathBuf;

use sqlx::Connection;

use crate::record::{assert_unique, journal_path, of_type, records, rows};
use crate::support::{Home, eventually};

/// A home whose daemon has traded and ended in order.
fn traded() -> Home {
    let home = Home::simulated(6_000.0);
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("fills", || (of_type(&records(&home.data()), "fill").len() > 6).then_some(()));
    daemon.stop().ended_with(0);
    home
}

fn database(home: &Home) -> PathBuf {
    home.data().join("levibot.db")
}

fn address(home: &Home) -> String {
    format!("sqlite://{}", database(home).display())
}

/// Files of damaged databases that were put out of the way.
fn kept(home: &Home) -> usize {
    (1..).take_while(|n| home.data().join(format!("levibot.db.damaged-{n}")).exists()).count()
}

#[test]
fn damaged_tables_are_kept_aside_and_made_anew_from_the_journal() {
    let home = traded();
    // Every page into the file itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tables = sqlx::SqliteConnection::connect(&address(&home)).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut tables).await.unwrap();
        tables.close().await.unwrap();
    });
    let whole = fs::read(database(&home)).unwrap();
    assert!(whole.len() > 8_192);
    let broken_pages = [&whole[..4_096], &vec![0xff; whole.len() - 4_096]].concat();
    for (round, garbage) in [b"this is no database".repeat(500), broken_pages].into_iter().enumerate() {
        // What SQLite keeps beside it may hold every page anew, and then nothing is damaged.
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(home.data().join(format!("levibot.db{end}")));
        }
        fs::write(database(&home), &garbage).unwrap();
        let audit = home.ask(&["audit"]);
        for words in ["SQL tables: cannot be read", "rebuilds damaged ones", "NOT CLEAN"] {
            assert!(audit.ended_with(1).contains(words), "`{words}` is missing in:\n{}", audit.out);
        }
        let mut daemon = home.run(&[]);
        daemon.ready();
        eventually("people are told", || daemon.log().contains("were damaged and are rebuilt").then_some(()));
        let seen = of_type(&records(&home.data()), "fill").len();
        eventually("trading goes on", || (of_type(&records(&home.data()), "fill").len() > seen).then_some(()));
        daemon.stop().ended_with(0);
        assert_eq!(kept(&home), round + 1);
        let records = records(&home.data());
        assert_unique(&records);
        assert_eq!(home.ask_json(&["audit"])["tables"]["agree"]["seq"], records.len());
        assert_eq!(rows(&home.data(), "fills").values().sum::<u64>(), of_type(&records, "fill").len() as u64);
    }
}

#[test]
fn lost_tables_cost_the_mirror_and_come_back() {
    let home = traded();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(home.data().join(format!("levibot.db{end}")));
    }
    let audit = home.ask(&["audit"]);
    assert!(audit.ended_with(0).contains("SQL tables: none at "), "{}", audit.out);
    assert!(audit.ended_with(0).contains("the chain is checked all the same"), "{}", audit.out);
    home.run(&["--for", "10ms"]).wait().ended_with(0);
    assert_eq!(home.ask_json(&["audit"])["tables"]["agree"]["seq"], records(&home.data()).len());
    // Elsewhere they are found by the configuration.
    let elsewhere = home.data().join("elsewhere.db");
    fs::rename(database(&home), &elsewhere).unwrap();
    home.configure(|config| {
        let url = toml::Value::from(format!("sqlite://{}", elsewhere.display()));
        config.insert("store".to_owned(), toml::Table::from_iter([("url".to_owned(), url)]).into());
    });
    assert_eq!(home.ask_json(&["audit"])["tables"], "absent");
    let config = home.config();
    let audit = home.ask_json(&["audit", "--config", config.to_str().unwrap()]);
    assert_eq!(audit["tables"]["agree"]["seq"], records(&home.data()).len(), "{audit}");
}

#[test]
fn a_daemon_does_not_start_on_a_journal_that_has_lost_what_was_durable() {
    let home = traded();
    let path = journal_path(&home.data());
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let last = ends.len();
    // Three whole lines; and one of them in the middle of it.
    for (cut, missing) in [(ends[last - 4], 3), (ends[last - 4] + 60, 3)] {
        fs::write(&path, &whole[..cut]).unwrap();
        let audit = home.ask(&["audit", "--json"]);
        audit.ended_with(1);
        let audit = audit.json();
        assert_eq!(audit["tables"]["disagree"]["missing"], missing, "{audit}");
        let words = [format!("lacks {missing} record(s)"), format!("ends with record {}", last - 3)];
        let remedies = [words[0].as_str(), &words[1], "restore the journal", "levibot.db"];
        home.run(&[]).wait().refused_with(5, &remedies);
        // Commands without a daemon stop what they can, and leave it as it is too.
        home.ask(&["resume"]).refused_with(5, &remedies);
        home.ask(&["halt"]).refused_with(5, &remedies);
        fs::remove_file(home.data().join("HALT")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole[..cut], "nothing was written and nothing cut");
    }
    fs::write(&path, &whole).unwrap();
    home.run(&["--for", "10ms"]).wait().ended_with(0);
}

#[test]
fn tables_that_somebody_holds_stop_nothing() {
    let home = traded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut held = runtime.block_on(sqlx::SqliteConnection::connect(&address(&home))).unwrap();
    runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut held)).unwrap();
    let before = of_type(&records(&home.data()), "fill").len();
    let mut daemon = home.run(&[]);
    daemon.ready();
    eventually("trading goes on", || (of_type(&records(&home.data()), "fill").len() > before + 4).then_some(()));
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut held)).unwrap();
    runtime.block_on(held.close()).unwrap();
    daemon.stop().ended_with(0);
    let records = records(&home.data());
    assert_unique(&records);
    assert_eq!(home.ask_json(&["audit"])["tables"]["agree"]["seq"], records.len(), "they have caught up");
}

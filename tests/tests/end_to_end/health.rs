//! A server dies and comes back: its users go elsewhere meanwhile, and nobody else notices.

use anyhow::ensure;
use siplb_lab::siplb;

use crate::stage::{on_stage, users};

#[test]
fn a_dead_server_moves_its_own_users_alone() {
    on_stage("health", 4, |stage| {
        let users = users(40);
        stage.start_all()?;
        stage.register(&users)?;
        let (before, digest) = (stage.owners(&users)?, stage.digest()?);
        let others: Vec<String> = users.iter().filter(|user| before[*user] != "b2").cloned().collect();

        stage.kill_server("b2")?;
        println!("b2 was out after {} ms", stage.siplb().wait_for("b2", false)?.as_millis());
        let meanwhile = stage.owners(&users)?;
        for user in &users {
            let (home, now) = (&before[user], &meanwhile[user]);
            ensure!(now != "b2" && (home == now || home == "b2"), "{user} of {home} is at {now}");
        }
        let status = stage.status()?;
        let dead = &status["pools"][0]["backends"][1];
        ensure!(dead["name"] == "b2" && dead["slots"] == 0, "b2 serves still: {dead}");
        stage.call(&others)?;

        // A daemon that takes over believes what the one before it had found out.
        let digest_meanwhile = stage.digest()?;
        stage.kill_siplb();
        stage.start_siplb(&siplb::config(&stage.lab))?;
        ensure!(!stage.siplb().is_up("b2")?, "the new daemon takes b2 for up");
        ensure!(stage.digest()? == digest_meanwhile, "the new daemon has another table");

        stage.start_server("b2")?;
        println!("b2 was back after {} ms", stage.siplb().wait_for("b2", true)?.as_millis());
        ensure!(stage.digest()? == digest_meanwhile, "its users were moved by its return alone");
        stage.siplb().ask(&["backend", "ready", "b2", "--now"])?;
        ensure!(
            stage.digest()? == digest && stage.owners(&users)? == before,
            "owners are not those of before"
        );
        ensure!(stage.packets("backend-to-node")? > 0, "answers to checks are not counted");
        stage.call(&others)?;
        stage.register(&users)?;
        stage.call(&users)
    });
}

//! A release embeds `queries/`, so it is built again when a file comes or goes there. A dev build reads the folder at run
//! time and is left alone.
#![expect(clippy::disallowed_methods, reason = "this is how a build script hears and talks")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=queries");
    }
}

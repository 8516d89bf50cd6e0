//! The page is part of the program: another page is another program.

fn main() {
    println!("cargo::rerun-if-changed=../../ui/dist");
}

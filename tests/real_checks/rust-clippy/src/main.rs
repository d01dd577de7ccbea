#![deny(clippy::len_zero)]

fn main() {
    let names: Vec<String> = vec![];
    if names.len() == 0 {
        println!("{}", format!("none of {}", 3.14));
    }
    let copied = names.clone().iter().map(|name| name.to_string()).collect::<Vec<_>>();
    for i in 0..copied.len() {
        println!("{}", copied[i]);
    }
    return;
}

use std::collections::HashMap;

fn main() {
    let text = String::from("x");
    let moved = text;
    println!("{}", text);
    let y: u8 = 256;
}

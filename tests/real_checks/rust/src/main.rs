use std::fs::File;

fn main() {
    let mut count = 1;
    if count == 1 {
        println!("fine");
    }
}

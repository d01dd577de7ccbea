//! Shapes, wrongly.

use std::collections::HashMap;

#[path = "[id]/größe.rs"]
pub mod size;

pub struct Shape {
    pub name: String,
    pub corners: u32,
}

macro_rules! twice {
    ($value:expr) => {
        $value + $value.absent()
    };
}

pub fn area(shape: &Shape) -> u32 {
    let unused = 1;
    shape.corners * shape.width
}

pub fn moved(shape: Shape) -> String {
    // error: a comment, no error
    //  --> src/never.rs:1:1
    let name: String = 5;
    twice!(shape.corners);
    name
}

pub fn missing() -> NotThere {
    println!("{}", "error: a string\n --> src/never.rs:1:1");
    undefined_function(1)
}

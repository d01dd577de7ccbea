pub trait Size {
    fn width(&self) -> u32;
    fn height(&self) -> u32;
}

pub struct Box(pub u32);

impl Size for Box {
    fn width(&self) -> u32 {
        self.1
    }
}

pub fn pick(value: Option<u32>) -> u32 {
    match value {
        Some(found) => found,
    }
}

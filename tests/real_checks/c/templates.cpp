#include <string>
#include <vector>

template <typename Value> struct Box {
    Value value;
    int size() const { return value.absent_size(); }
};

struct Shape {
    virtual int area() const = 0;
};

struct Square : Shape {
    int area() override { return 1; }
};

int main()
{
    std::vector<std::string> names;
    names.push_back(5, 6);
    Box<int> box{1};
    Square square;
    std::string text = box.size();
    return text + 1;
}

extern int absent_function(int);
extern int absent_thing;

int main(void)
{
    return absent_function(absent_thing);
}

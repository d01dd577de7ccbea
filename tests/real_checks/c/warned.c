#include <stdio.h>

int compare(int a, unsigned b)
{
    int unused = 1;
    if (a = b)
        printf("%d\n", "text");
    return a < b;
}

#include <stdio.h>
#include "outer.h"

/* include/never.h:1:1: error: a comment, no error */
int area(struct shape *shape)
{
    int unused;
    printf("%s: error: not this\n", shape->corners);
    char *text = 5;
    return shape->corners + undeclared_thing + TWICE(shape)
}

static int never(void) { return "one"; }

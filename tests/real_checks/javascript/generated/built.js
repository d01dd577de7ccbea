var built = 1 == 2;

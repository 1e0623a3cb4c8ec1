#pragma once
// What the size of a belief costs and buys: trainings with every pair of D_R and D_T, each timed at the parts that grow
// with them.

// bel-learn study --sweep WORLD [--features 4,8,..] [--transition 0,4,..] [--frames F] [--seed S] [--tasks N] [--json]
int sweep_command(int argc, char **argv);

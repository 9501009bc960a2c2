#include "cli/cli.h"

int main(int argc, char** argv) { return heimdall::run_cli(argc, argv); }

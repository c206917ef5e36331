#pragma once

namespace vigie::app {

// The command line of the vigie program. Returns its exit code: 0 done, 1 failed, 2 used wrongly.
int run_cli(int argc, char** argv);

}  // namespace vigie::app

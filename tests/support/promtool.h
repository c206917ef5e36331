#pragma once

#include <sys/wait.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

// Prometheus' own checker, as Debian has it, where ./dev put it. Tests that compare with it say so
// and pass when it is not there; ./dev test gets it.
namespace vigie::test {

inline std::string promtool() {
    return std::string(VIGIE_SOURCE_DIR) + "/build/tools/usr/bin/promtool";
}

inline bool has_promtool() {
    return std::filesystem::exists(promtool());
}

struct PromtoolAnswer {
    int code = -1;
    std::string output;
};

// Runs it in `folder` with these arguments; both outputs are read.
inline PromtoolAnswer run_promtool(const std::string& folder, const std::string& arguments) {
    PromtoolAnswer answer;
    const std::string command =
        "cd '" + folder + "' && '" + promtool() + "' " + arguments + " 2>&1";
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return answer;
    char buffer[4096];
    for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
        answer.output.append(buffer, got);
    }
    const int status = ::pclose(pipe);
    answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return answer;
}

inline void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace vigie::test

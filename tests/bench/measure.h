#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/system_clock.h"

// What benchmarks measure with. What say() prints is read by tools/bench.py.
namespace vigie::bench {

inline const SystemClock g_clock;

struct Cost {
    double cpu = 0;  // Seconds of all threads of this process.
    double wall = 0;
};

inline double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto of = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return of(used.ru_utime) + of(used.ru_stime);
}

inline Cost cost_of(const std::function<void()>& work) {
    const double cpu = cpu_seconds();
    const SteadyTime start = g_clock.steady();
    work();
    return {cpu_seconds() - cpu, std::chrono::duration<double>(g_clock.steady() - start).count()};
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

inline double at_percent(std::vector<double>& values, std::size_t percent) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() * percent / 100, values.size() - 1)];
}

// `goal` is a comparison (">= 25") or empty.
inline void say(std::string_view measure, double value, std::string_view unit,
                std::string_view goal) {
    fmt::print(R"({{"measure": "{}", "value": {:.4g}, "unit": "{}", "goal": {}}})"
               "\n",
               measure, value, unit, goal.empty() ? "null" : fmt::format("\"{}\"", goal));
    std::fflush(stdout);
}

// What the kernel has sent to the disk for this process.
inline double bytes_written() {
    std::ifstream io("/proc/self/io");
    std::string name;
    double value = 0;
    while (io >> name >> value) {
        if (name == "write_bytes:") return value;
    }
    return 0;
}

inline double resident_megabytes() {
    std::ifstream statm("/proc/self/statm");
    double size = 0;
    double resident = 0;
    statm >> size >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace vigie::bench

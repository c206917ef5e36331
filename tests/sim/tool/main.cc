// ./dev sim: runs the simulator's story for one seed, a range of seeds, or some hours.
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/system_clock.h"
#include "core/system_rng.h"
#include "tests/world/story.h"

namespace {

using Met = std::map<std::string, std::size_t>;

std::string text_of(const Met& met) {
    std::string text;
    for (const auto& [fault, count] : met) {
        text += (text.empty() ? "" : ", ") + fault + " " + std::to_string(count);
    }
    return text;
}

bool run(std::uint64_t seed, bool verbose, bool planted, Met& met) {
    auto hazards = vigie::sim::all_hazards();
    hazards.planted = planted;
    const auto outcome = vigie::sim::run_story(seed, hazards);
    if (verbose) {
        std::printf("%sseed %llu: %d rollbacks%s; met: %s\n", outcome.trace.c_str(),
                    static_cast<unsigned long long>(seed), outcome.rollbacks,
                    outcome.handed_over ? ", handed to a person" : "",
                    text_of(outcome.met).c_str());
    }
    for (const auto& [fault, count] : outcome.met) met[fault] += count;
    for (const auto& broken : outcome.broken) {
        std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), broken.c_str());
    }
    return outcome.broken.empty();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Runs the simulator"};
    std::uint64_t seed = 0;
    std::vector<std::uint64_t> range;
    double hours = 0;
    app.add_option("--seed", seed, "Replay one seed and print what the log says");
    app.add_option("--seeds", range, "From and to")->expected(2);
    app.add_option("--hours", hours, "New seeds for so long");
    bool planted = vigie::sim::kPlanted;
    app.add_flag("--planted", planted, "With a bug: positions are committed before state");
    CLI11_PARSE(app, argc, argv);
    Met met;
    if (seed != 0) return run(seed, true, planted, met) ? 0 : 1;

    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    const auto report = [&] {
        std::printf("%llu seeds, %llu failed; met: %s\n", static_cast<unsigned long long>(done),
                    static_cast<unsigned long long>(failed), text_of(met).c_str());
        return failed == 0 ? 0 : 1;
    };
    if (hours > 0) {
        const vigie::SystemClock clock;
        const auto start = clock.steady();
        vigie::Rng rng(vigie::system_seed());
        while (std::chrono::duration<double, std::ratio<3600>>(clock.steady() - start).count() <
               hours) {
            failed += run(rng.next() >> 1U, false, planted, met) ? 0U : 1U;
            ++done;
        }
        return report();
    }
    if (range.empty()) range = {1, 200};
    for (std::uint64_t s = range[0]; s <= range[1]; ++s, ++done)
        failed += run(s, false, planted, met) ? 0U : 1U;
    return report();
}

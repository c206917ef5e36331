#include "core/system_clock.h"

#include <chrono>
#include <thread>

namespace vigie {

WallTime SystemClock::wall() const {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const {
    return std::chrono::steady_clock::now();
}

void sleep_for(std::chrono::milliseconds duration) {
    std::this_thread::sleep_for(duration);
}

}  // namespace vigie

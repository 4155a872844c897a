// A small pool of threads that spin briefly, then sleep, or the threads of a host that lends them.
//
// One call at a time has the pool; another that comes meanwhile does all its shares itself, which changes no
// bit of its results. A child of fork starts with a new pool, and borrows nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace longspan {

inline constexpr int most_threads = 256;

// Where the threads of one task wait for each other.
class Barrier {
  public:
    explicit Barrier(int parties) : parties_(static_cast<std::uint32_t>(parties)) {}
    void meet();

  private:
    std::uint32_t parties_;
    std::atomic<std::uint32_t> arrived_{0};
    std::atomic<std::uint32_t> round_{0};
};

// How a host that runs on GNU OpenMP lends its threads. Its workers spin for milliseconds after each of its
// own parallel regions: a second set of threads would find every processor taken.
struct Lender {
    void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
    int (*team)() = nullptr;  // how many threads run the body, asked inside of it
};

class Pool {
  public:
    using Task = void (*)(void* context, int share, int shares);

    // From now on the threads of `lender`, or with a NULL our own again.
    void borrow(const Lender& lender);

    // Calls task(context, k, shares) for every k below shares, on as many threads, and returns when all are
    // done.
    void run(int shares, Task task, void* context);

    // The same, but all shares at the same time, so that they may meet at a barrier; false, and nothing done,
    // where that cannot be had now.
    bool run_together(int shares, Task task, void* context);

    static Pool& global();

  private:
    struct Worker {
        std::atomic<std::uint32_t> ticket{0};  // number of the job that it is woken for
    };

    std::mutex busy_;
    Lender lender_;
    std::vector<std::unique_ptr<Worker>> workers_;
    // Of the job that runs: its number (32 bits), how many shares it has (16), how many are claimed (16). In
    // one word, so that a worker that wakes too late for its job can claim nothing of the next one.
    std::atomic<std::uint64_t> claims_{0};
    std::atomic<std::uint32_t> unfinished_{0};
    std::uint32_t job_ = 0;
    Task task_ = nullptr;
    void* context_ = nullptr;

    bool run_borrowed(int shares, Task task, void* context) const;
    void work(Worker& worker);
    void run_shares(std::uint32_t job);
    bool grow(int workers);
};

}  // namespace longspan

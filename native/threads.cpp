#include "threads.h"

#include <pthread.h>

#include <chrono>
#include <system_error>
#include <thread>

namespace longspan {
namespace {

// About 20 microseconds: longer than the gap between two phases, short beside a time slice.
constexpr int spins = 4000;
constexpr int yields = 1000;
constexpr std::chrono::microseconds nap{50};

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    asm volatile("yield");
#endif
}

// Until the value is no longer `old`.
std::uint32_t await(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
    for (int k = 0; k < spins; ++k) {
        const std::uint32_t now = value.load(std::memory_order_acquire);
        if (now != old) return now;
        pause();
    }
    value.wait(old, std::memory_order_acquire);
    return value.load(std::memory_order_acquire);
}

// Until others have counted up to `least`. Nobody is told to wake a sleeper, which would cost every meeting a
// fence: who has waited long gives the processor away, in case it is the one that the others need, and then
// looks again from time to time.
void await_at_least(const std::atomic<std::uint32_t>& value, std::uint32_t least) {
    const auto there = [&] {
        return static_cast<std::int32_t>(value.load(std::memory_order_acquire) - least) >= 0;
    };
    for (int k = 0; k < spins; ++k) {
        if (there()) return;
        pause();
    }
    for (int k = 0; k < yields; ++k) {
        if (there()) return;
        std::this_thread::yield();
    }
    while (!there()) std::this_thread::sleep_for(nap);
}

Pool* current = nullptr;
std::once_flag made;

// The threads of the parent do not exist in the child; its pool is left behind, lock and all.
void renew() {
    current = new Pool;
}

}  // namespace

void Barrier::seat(int parties) {
    parties_ = parties;
    while (static_cast<int>(seats_.size()) < parties) seats_.push_back(std::make_unique<Seat>());
    for (int party = 0; party < parties; ++party) {
        Seat& own = *seats_[static_cast<std::size_t>(party)];
        own.meetings = 0;
        for (std::atomic<std::uint32_t>& told : own.told) told.store(0, std::memory_order_relaxed);
    }
}

void Barrier::meet(int party) {
    Seat& own = *seats_[static_cast<std::size_t>(party)];
    const std::uint32_t meeting = ++own.meetings;
    for (int round = 0, step = 1; step < parties_; ++round, step *= 2) {
        const auto other = static_cast<std::size_t>((party + step) % parties_);
        seats_[other]->told[round].store(meeting, std::memory_order_release);
        await_at_least(own.told[round], meeting);
    }
}

double Barrier::crossing(int party) {
    constexpr int turns = 32;
    meet(party);
    const auto start = std::chrono::steady_clock::now();
    for (int turn = 0; turn < turns; ++turn) meet(party);
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    return taken.count() / turns;
}

Pool& Pool::global() {
    std::call_once(made, [] {
        renew();
        pthread_atfork(nullptr, nullptr, renew);
    });
    return *current;  // never destroyed: workers may outlive every static object
}

void Pool::work(Worker& worker) {
    for (std::uint32_t job = 0;;) {
        job = await(worker.ticket, job);
        run_shares(job);
    }
}

// Claims shares of this job one after the other, and runs them, until none is left.
void Pool::run_shares(std::uint32_t job) {
    for (std::uint64_t claims = claims_.load(std::memory_order_acquire);;) {
        const int shares = static_cast<int>(claims >> 16 & 0xffff), next = static_cast<int>(claims & 0xffff);
        if (claims >> 32 != job || next >= shares) return;
        if (!claims_.compare_exchange_weak(claims, claims + 1, std::memory_order_acq_rel)) continue;
        task_(context_, next, shares);
        if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
        claims = claims_.load(std::memory_order_acquire);
    }
}

// False where the system gives no more threads.
bool Pool::grow(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
        workers_.push_back(std::make_unique<Worker>());
        try {
            std::thread([this, worker = workers_.back().get()] { work(*worker); }).detach();
        } catch (const std::system_error&) {
            workers_.pop_back();
            return false;
        }
    }
    return true;
}

void Pool::run(int shares, Task task, void* context) {
    if (shares > 1 && run_together(shares, task, context)) return;
    for (int k = 0; k < shares; ++k) task(context, k, shares);
}

void Pool::borrow(const Lender& lender) {
    const std::lock_guard<std::mutex> lock(busy_);
    lender_ = lender;
}

namespace {

struct Loan {
    Pool::Task task;
    void* context;
    int shares;
    const Lender& lender;
    std::atomic<bool> refused{false};
};

// Each thread of the team takes the share of its number, so that it finds what it wrote in its own cache. A
// team smaller than that was asked for (inside of another parallel region) does nothing, since shares may
// wait for each other.
void run_loan(void* data) {
    Loan& loan = *static_cast<Loan*>(data);
    if (loan.lender.team() < loan.shares) {
        loan.refused.store(true, std::memory_order_relaxed);
        return;
    }
    const int share = loan.lender.number();
    if (share < loan.shares) loan.task(loan.context, share, loan.shares);
}

}  // namespace

bool Pool::run_borrowed(int shares, Task task, void* context) const {
    Loan loan{task, context, shares, lender_};
    lender_.parallel(run_loan, &loan, static_cast<unsigned>(shares), 0);
    return !loan.refused.load(std::memory_order_relaxed);
}

bool Pool::run_together(int shares, Task task, void* context) {
    std::unique_lock<std::mutex> lock(busy_, std::defer_lock);
    if (!lock.try_lock()) return false;
    barrier_.seat(shares);
    if (lender_.parallel != nullptr) return run_borrowed(shares, task, context);
    if (!grow(shares - 1)) return false;
    task_ = task, context_ = context;
    unfinished_.store(static_cast<std::uint32_t>(shares), std::memory_order_relaxed);
    if (++job_ == 0) ++job_;  // 0 is what a new worker has seen
    claims_.store(std::uint64_t{job_} << 32 | static_cast<std::uint64_t>(shares) << 16,
                  std::memory_order_release);
    for (int k = 0; k + 1 < shares; ++k) {
        std::atomic<std::uint32_t>& ticket = workers_[static_cast<std::size_t>(k)]->ticket;
        ticket.store(job_, std::memory_order_release);
        ticket.notify_one();
    }
    run_shares(job_);
    for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;)
        left = await(unfinished_, left);
    return true;
}

}  // namespace longspan

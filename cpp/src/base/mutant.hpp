// Mutants: faults that the tests of concurrency have to find, in the places where they would be made.
// Without DYNBATCH_MUTANTS, as in every build that is used, DYNBATCH_MUTANT(name) is `false` and leaves
// nothing behind. With it, the environment variable DYNBATCH_MUTANT names the fault that is switched on.
//
// tests/model/mutants.py runs each of them and expects it to be found.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#define DYNBATCH_MUTANT_LIST(X)                                            \
  X(claims_sealed)         /* claim() adds rows to a sealed block */       \
  X(takes_incomplete)      /* a block is taken while a row is missing */   \
  X(weak_publish)          /* publish() releases, and is not seq_cst */    \
  X(relaxed_publish)       /* publish() publishes nothing */               \
  X(weak_permits)          /* permits_ is released, and not seq_cst */     \
  X(weak_timer)            /* timer_due_ is released, and not seq_cst */   \
  X(waits_without_scan)    /* who wants room does not look for rows due */ \
  X(stays_in_line)         /* who has waited too long stays in the list */ \
  X(forgets_space)         /* room that comes back is not handed on */     \
  X(no_scan_after_permit)  /* a caller gives its permit back and goes */   \
  X(no_scan_after_delay)   /* a new delay does not look for what is due */ \
  X(starts_unseen)         /* what was held may start, and nobody looks */ \
  X(stays_held)            /* who does not hold leaves a block held */     \
  X(drops_wake_up)         /* a worker is handed a permit and not woken */ \
  X(stays_on_its_way)      /* a worker that looks counts as on its way */  \
  X(sleeps_without_look)   /* a worker parks after the lock was free */    \
  X(finishes_unlocked)     /* a block goes back outside of the lock */     \
  X(recycles_early)        /* a block goes back before its requests end */ \
  X(drops_output_hold)     /* a reader does not hold its output block */   \
  X(closes_unsealed)       /* close() leaves blocks open */                \
  X(lingers_for_ever)      /* a worker polls on with its permit held */    \
  X(trusts_wake_ups)       /* who wakes takes its request to be done */    \
  X(clears_after_taking)   /* a port's list is taken, then its event */    \
  X(forgets_adders)        /* a port goes while a thread adds to it */     \
  X(waits_unannounced)     /* a caller sleeps without saying so */         \
  X(ends_without_exchange) /* end() loads, then stores */                  \
  X(relaxed_end)           /* end() publishes nothing */                   \
  X(cancel_frees)          /* cancel drops the queue's hold as well */     \
  X(pool_without_tag)      /* the stack of free requests has no tag */     \
  X(relaxed_pool)          /* a free request is published to nobody */     \
  X(weak_staged_publish)   /* a staged publish() is not seq_cst */         \
  X(takes_unready)         /* a staged batch takes what is not written */  \
  X(weak_run_token)        /* a token is given back, and not seq_cst */    \
  X(counts_late)           /* a run is counted once it is answered */

namespace dynbatch {

enum class Mutant {
  none,
#define DYNBATCH_ENUMERATOR(name) name,
  DYNBATCH_MUTANT_LIST(DYNBATCH_ENUMERATOR)
#undef DYNBATCH_ENUMERATOR
};

inline std::string name_of(Mutant mutant) {
  switch (mutant) {
#define DYNBATCH_NAME(name) \
  case Mutant::name: return #name;
    DYNBATCH_MUTANT_LIST(DYNBATCH_NAME)
#undef DYNBATCH_NAME
    default: return "none";
  }
}

#ifdef DYNBATCH_MUTANTS
inline Mutant mutant_of_environment() {
  const char* const wanted = std::getenv("DYNBATCH_MUTANT");
  const std::string_view text(wanted == nullptr ? "" : wanted);
#define DYNBATCH_COMPARE(name) \
  if (text == #name) return Mutant::name;
  DYNBATCH_MUTANT_LIST(DYNBATCH_COMPARE)
#undef DYNBATCH_COMPARE
  if (!text.empty()) std::abort();  // a name that is not in the list would test nothing
  return Mutant::none;
}
inline const Mutant kActiveMutant = mutant_of_environment();
inline Mutant active_mutant() noexcept { return kActiveMutant; }
#define DYNBATCH_MUTANT(name) (::dynbatch::active_mutant() == ::dynbatch::Mutant::name)
#else
constexpr Mutant active_mutant() noexcept { return Mutant::none; }
#define DYNBATCH_MUTANT(name) false
#endif

}  // namespace dynbatch

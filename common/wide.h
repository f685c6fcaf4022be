/* Loops for machines with wider registers. */
#ifndef UAP_COMMON_WIDE_H
#define UAP_COMMON_WIDE_H

/* The same code for machines with wider registers, chosen when the program starts: additions,
 * products and comparisons give the same bits at any width. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define UAP_FOR_WIDE_REGISTERS __attribute__((target_clones("avx2", "default")))
#else
#define UAP_FOR_WIDE_REGISTERS
#endif

#endif

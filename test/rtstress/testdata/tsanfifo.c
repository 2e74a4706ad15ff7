// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Tsanfifo shows what the race detector's library does to SCHED_FIFO threads,
// without Go: its own locks spin with sched_yield, which lets no less urgent thread
// run. Three threads with priorities 10, 20 and 30 make and destroy mutexes on one CPU; one
// that has to wait for the lock of one that it has preempted waits for ever. Seen with
// gcc 12 within a second.
//
//	gcc -O1 -fsanitize=thread tsanfifo.c -o tsanfifo && sudo ./tsanfifo
//
// It prints STUCK and ends with status 1 when no thread has done anything for a
// second, ok and 0 if that does not happen in ten, as without -fsanitize=thread.

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, OBJECTS = 64 };

static unsigned long rounds;

static void *work(void *arg)
{
	long i = (long)arg;

	for (;;) {
		for (int k = 0; k < OBJECTS; k++) {
			pthread_mutex_t *m = malloc(sizeof *m);
			pthread_mutex_init(m, NULL);
			pthread_mutex_lock(m);
			pthread_mutex_unlock(m);
			pthread_mutex_destroy(m);
			free(m);
		}
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
		if (i > 0) { // the least urgent never sleeps
			struct timespec t = {0, 300000 * i};
			nanosleep(&t, NULL);
		}
	}
	return NULL;
}

int main(void)
{
	for (long i = 0; i < THREADS; i++) {
		struct sched_param prio = {.sched_priority = 10 + 10 * i};
		pthread_attr_t attr;
		cpu_set_t cpus;
		pthread_t t;

		CPU_ZERO(&cpus);
		CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &cpus);
		pthread_attr_init(&attr);
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
		pthread_attr_setschedparam(&attr, &prio);
		pthread_attr_setaffinity_np(&attr, sizeof cpus, &cpus);
		int e = pthread_create(&t, &attr, work, (void *)i);
		if (e) {
			fprintf(stderr, "pthread_create: %s (needs root)\n", strerror(e));
			return 2;
		}
	}
	unsigned long last = 0;
	for (int s = 0; s < 10; s++) {
		sleep(1);
		unsigned long n = __atomic_load_n(&rounds, __ATOMIC_RELAXED);
		if (n == last) {
			printf("STUCK after %lu rounds\n", n);
			fflush(stdout);
			_exit(1); // exit would wait for the lock
		}
		last = n;
	}
	printf("ok: %lu rounds\n", last);
	return 0;
}

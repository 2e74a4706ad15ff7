// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Deadlinepi shows a bug of some kernels, without Go: a SCHED_DEADLINE thread
// that takes part in priority inheritance is throttled and never gets its
// budget again. It stays runnable (state R) for ever and cannot be killed;
// "chrt -o -p 0 TID" frees it. Seen on Linux 6.18.44 within a minute.
//
//	gcc -O2 -pthread deadlinepi.c -o deadlinepi && sudo ./deadlinepi 60
//
// It prints STUCK and ends with status 1 if the kernel has the bug (and may
// then be left as a zombie until the thread is freed), ok and 0 otherwise.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 12, LOCKS = 4 };

struct sched_attr_v0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static pthread_mutex_t mu[LOCKS];
static volatile uint64_t ops[THREADS];
static volatile int tid[THREADS];

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void burn(uint64_t ns)
{
	for (uint64_t end = now() + ns; now() < end;)
		;
}

// set gives thread t (0: the calling one) a policy: 0 SCHED_OTHER, 1
// SCHED_FIFO, 6 SCHED_DEADLINE with runtime ns in each 100 ms.
static int set(int t, int policy, int priority, uint64_t runtime)
{
	struct sched_attr_v0 a = {.size = 48, .policy = policy, .flags = 1, .priority = priority};
	if (policy == 6) {
		a.runtime = runtime;
		a.deadline = a.period = 100000000;
	}
	return syscall(SYS_sched_setattr, t, &a, 0);
}

static void *work(void *v)
{
	long id = (long)v;
	unsigned s = id * 7919 + time(0);
	tid[id] = syscall(SYS_gettid);
	for (;;) {
		int k = rand_r(&s) % 10;
		if (k < 5)
			set(0, 6, 0, 1000000 * (1 + rand_r(&s) % 5));
		else if (k < 9)
			set(0, 1, 1 + rand_r(&s) % 50, 0);
		for (int n = 1 + rand_r(&s) % 20; n > 0; n--) {
			int first = rand_r(&s) % LOCKS;
			int last = rand_r(&s) % 3 ? first + 1 : LOCKS;
			for (int i = first; i < last; i++) {
				pthread_mutex_lock(&mu[i]);
				burn(rand_r(&s) % 100000);
				pthread_mutex_unlock(&mu[i]);
			}
			if (rand_r(&s) % 2) {
				struct timespec t = {0, rand_r(&s) % 300000};
				nanosleep(&t, 0);
			}
			if (rand_r(&s) % 20 == 0)
				burn(3000000);
			ops[id]++;
		}
		set(0, 0, 0, 0);
	}
	return 0;
}

static char state(int t)
{
	char name[64], line[256];
	snprintf(name, sizeof name, "/proc/self/task/%d/stat", t);
	FILE *f = fopen(name, "r");
	if (!f)
		return '?';
	char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : 0;
	fclose(f);
	return p ? p[2] : '?';
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 60;
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&mu[i], &a);
	if (set(0, 1, 99, 0)) {
		perror("sched_setattr: run it as root");
		return 2;
	}
	for (long i = 0; i < THREADS; i++) {
		pthread_t t;
		pthread_create(&t, 0, work, (void *)i);
	}
	uint64_t last[THREADS] = {0}, at[THREADS], total = 0;
	for (int i = 0; i < THREADS; i++)
		at[i] = now();
	for (int k = 0; k < 2 * seconds; k++) {
		usleep(500000);
		total = 0;
		for (int i = 0; i < THREADS; i++) {
			total += ops[i];
			if (ops[i] != last[i]) {
				last[i] = ops[i];
				at[i] = now();
			} else if (now() - at[i] > 8000000000ull && state(tid[i]) == 'R') {
				printf("STUCK: thread %d is runnable and has not run for 8 s; after %llu operations\n", tid[i], (unsigned long long)total);
				fflush(stdout);
				set(tid[i], 0, 0, 0);
				_exit(1);
			}
		}
	}
	printf("ok: %llu operations\n", (unsigned long long)total);
	fflush(stdout);
	for (int i = 0; i < THREADS; i++)
		set(tid[i], 0, 0, 0);
	_exit(0);
}

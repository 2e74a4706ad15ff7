#!/bin/sh
echo "it is broken" >&2
exit 1

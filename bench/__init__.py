"""What events, starts and attacks cost; what is lost."""

import tools as tools  # tells which Python it takes

"""The states and the metrics in Polars. The plan is that of the shared SQL: see `sql`."""

from .activity import Activity
from .apps import Apps
from .campaigns import Campaigns
from .dag import Dag
from .integration import Integration
from .quality import Quality
from .seats import Seats
from .segments import Segments
from .size import Size
from .states import States


class Report(States, Seats, Activity, Dag, Integration, Segments, Size, Apps, Campaigns, Quality):
    """A method for each state, and one for each metric, which writes its table."""

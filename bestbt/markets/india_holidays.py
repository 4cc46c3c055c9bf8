"""Weekdays on which the Indian exchanges are closed, each with its source.

2019 and 2020 agree with NSE's own daily index file; from 2021 on the rows are the exchange's
circulars. A day with a muhurat session in the evening is a holiday here: nothing expires on it.
"""

from __future__ import annotations

from datetime import date

HOLIDAY_YEARS = range(2019, 2027)  # years of which every closed weekday is known

_ROWS = """
2019-03-04 | holiday | exchange_calendars 4.13.2 XBOM
2019-03-21 | holiday | exchange_calendars 4.13.2 XBOM
2019-04-17 | holiday | exchange_calendars 4.13.2 XBOM
2019-04-19 | holiday | exchange_calendars 4.13.2 XBOM
2019-04-29 | holiday | exchange_calendars 4.13.2 XBOM
2019-05-01 | holiday | exchange_calendars 4.13.2 XBOM
2019-06-05 | holiday | exchange_calendars 4.13.2 XBOM
2019-08-12 | holiday | exchange_calendars 4.13.2 XBOM
2019-08-15 | holiday | exchange_calendars 4.13.2 XBOM
2019-09-02 | holiday | exchange_calendars 4.13.2 XBOM
2019-09-10 | holiday | exchange_calendars 4.13.2 XBOM
2019-10-02 | holiday | exchange_calendars 4.13.2 XBOM
2019-10-08 | holiday | exchange_calendars 4.13.2 XBOM
2019-10-21 | holiday | exchange_calendars 4.13.2 XBOM
2019-10-28 | holiday | exchange_calendars 4.13.2 XBOM
2019-11-12 | holiday | exchange_calendars 4.13.2 XBOM
2019-12-25 | holiday | exchange_calendars 4.13.2 XBOM
2020-02-21 | holiday | exchange_calendars 4.13.2 XBOM
2020-03-10 | holiday | exchange_calendars 4.13.2 XBOM
2020-04-02 | holiday | exchange_calendars 4.13.2 XBOM
2020-04-06 | holiday | exchange_calendars 4.13.2 XBOM
2020-04-10 | holiday | exchange_calendars 4.13.2 XBOM
2020-04-14 | holiday | exchange_calendars 4.13.2 XBOM
2020-05-01 | holiday | exchange_calendars 4.13.2 XBOM
2020-05-25 | holiday | exchange_calendars 4.13.2 XBOM
2020-10-02 | holiday | exchange_calendars 4.13.2 XBOM
2020-11-16 | holiday | exchange_calendars 4.13.2 XBOM
2020-11-30 | holiday | exchange_calendars 4.13.2 XBOM
2020-12-25 | holiday | exchange_calendars 4.13.2 XBOM
2021-01-26 | Republic Day | NSE/FAOP/46625
2021-03-11 | Mahashivratri | NSE/FAOP/46625
2021-03-29 | Holi | NSE/FAOP/46625
2021-04-02 | Good Friday | NSE/FAOP/46625
2021-04-14 | Dr. Baba Saheb Ambedkar Jayanti | NSE/FAOP/46625
2021-04-21 | Ram Navami | NSE/FAOP/46625
2021-05-13 | Id-Ul-Fitr (Ramzan ID) | NSE/FAOP/46625
2021-07-21 | Bakri Id | NSE/FAOP/46625
2021-08-19 | Moharram | NSE/FAOP/46625
2021-09-10 | Ganesh Chaturthi | NSE/FAOP/46625
2021-10-15 | Dussehra | NSE/FAOP/46625
2021-11-04 | Diwali-Laxmi Pujan | NSE/FAOP/46625
2021-11-05 | Diwali-Balipratipada | NSE/FAOP/46625
2021-11-19 | Gurunanak Jayanti | NSE/FAOP/46625
2022-01-26 | Republic Day | NSE/FAOP/50561
2022-03-01 | Mahashivratri | NSE/FAOP/50561
2022-03-18 | Holi | NSE/FAOP/50561
2022-04-14 | Dr. Baba Saheb Ambedkar Jayanti/ Mahavir Jayanti | NSE/FAOP/50561
2022-04-15 | Good Friday | NSE/FAOP/50561
2022-05-03 | Id-Ul-Fitr (Ramzan ID) | NSE/FAOP/50561
2022-08-09 | Moharram | NSE/FAOP/50561
2022-08-15 | Independence Day | NSE/FAOP/50561
2022-08-31 | Ganesh Chaturthi | NSE/FAOP/50561
2022-10-05 | Dussehra | NSE/FAOP/50561
2022-10-24 | Diwali-Laxmi Pujan | NSE/FAOP/50561
2022-10-26 | Diwali-Balipratipada | NSE/FAOP/50561
2022-11-08 | Gurunanak Jayanti | NSE/FAOP/50561
2023-01-26 | Republic Day | NSE/FAOP/54759
2023-03-07 | Holi | NSE/FAOP/54759
2023-03-30 | Ram Navami | NSE/FAOP/54759
2023-04-04 | Mahavir Jayanti | NSE/FAOP/54759
2023-04-07 | Good Friday | NSE/FAOP/54759
2023-04-14 | Dr. Baba Saheb Ambedkar Jayanti | NSE/FAOP/54759
2023-05-01 | Maharashtra Day | NSE/FAOP/54759
2023-06-29 | Bakri Id, moved from 28 June | NSE/FAOP/57286
2023-08-15 | Independence Day | NSE/FAOP/54759
2023-09-19 | Ganesh Chaturthi | NSE/FAOP/54759
2023-10-02 | Mahatma Gandhi Jayanti | NSE/FAOP/54759
2023-10-24 | Dussehra | NSE/FAOP/54759
2023-11-14 | Diwali-Balipratipada | NSE/FAOP/54759
2023-11-27 | Gurunanak Jayanti | NSE/FAOP/54759
2023-12-25 | Christmas | NSE/FAOP/54759
2024-01-22 | Ram Mandir Pran Pratishtha | exchange_calendars XBOM; NSE/MSD/60340
2024-01-26 | Republic Day | NSE/FAOP/59723
2024-03-08 | Mahashivratri | NSE/FAOP/59723
2024-03-25 | Holi | NSE/FAOP/59723
2024-03-29 | Good Friday | NSE/FAOP/59723
2024-04-11 | Id-Ul-Fitr (Ramadan Eid) | NSE/FAOP/59723
2024-04-17 | Shri Ram Navmi | NSE/FAOP/59723
2024-05-01 | Maharashtra Day | NSE/FAOP/59723
2024-05-20 | Parliamentary Elections (Mumbai) | NSE/FAOP/61517
2024-06-17 | Bakri Id | NSE/FAOP/59723
2024-07-17 | Moharram | NSE/FAOP/59723
2024-08-15 | Independence Day/Parsi New Year | NSE/FAOP/59723
2024-10-02 | Mahatma Gandhi Jayanti | NSE/FAOP/59723
2024-11-01 | Diwali Laxmi Pujan | NSE/FAOP/59723
2024-11-15 | Gurunanak Jayanti | NSE/FAOP/59723
2024-11-20 | Maharashtra Assembly Elections | NSE/FAOP/64959
2024-12-25 | Christmas | NSE/FAOP/59723
2025-02-26 | Mahashivratri | NSE/FAOP/65588
2025-03-14 | Holi | NSE/FAOP/65588
2025-03-31 | Id-Ul-Fitr (Ramadan Eid) | NSE/FAOP/65588
2025-04-10 | Shri Mahavir Jayanti | NSE/FAOP/65588
2025-04-14 | Dr. Baba Saheb Ambedkar Jayanti | NSE/FAOP/65588
2025-04-18 | Good Friday | NSE/FAOP/65588
2025-05-01 | Maharashtra Day | NSE/FAOP/65588
2025-08-15 | Independence Day | NSE/FAOP/65588
2025-08-27 | Ganesh Chaturthi | NSE/FAOP/65588
2025-10-02 | Mahatma Gandhi Jayanti/Dussehra | NSE/FAOP/65588
2025-10-21 | Diwali Laxmi Pujan | NSE/FAOP/65588
2025-10-22 | Diwali-Balipratipada | NSE/FAOP/65588
2025-11-05 | Prakash Gurpurb Sri Guru Nanak Dev | NSE/FAOP/65588
2025-12-25 | Christmas | NSE/FAOP/65588
2026-01-15 | Municipal Corporation Election - Maharashtra | NSE holiday-master JSON 2026-07-15
2026-01-26 | Republic Day | NSE/FAOP/71777
2026-03-03 | Holi | NSE/FAOP/71777
2026-03-26 | Shri Ram Navami | NSE/FAOP/71777
2026-03-31 | Shri Mahavir Jayanti | NSE/FAOP/71777
2026-04-03 | Good Friday | NSE/FAOP/71777
2026-04-14 | Dr. Baba Saheb Ambedkar Jayanti | NSE/FAOP/71777
2026-05-01 | Maharashtra Day | NSE/FAOP/71777
2026-05-28 | Bakri Id | NSE/FAOP/71777
2026-06-26 | Muharram | NSE/FAOP/71777
2026-09-14 | Ganesh Chaturthi | NSE/FAOP/71777
2026-10-02 | Mahatma Gandhi Jayanti | NSE/FAOP/71777
2026-10-20 | Dussehra | NSE/FAOP/71777
2026-11-10 | Diwali-Balipratipada | NSE/FAOP/71777
2026-11-24 | Prakash Gurpurb Sri Guru Nanak Dev | NSE/FAOP/71777
2026-12-25 | Christmas | NSE/FAOP/71777
"""

HOLIDAYS: dict[date, tuple[str, str]] = {
    date.fromisoformat(day): (name, source)
    for day, name, source in (line.split(" | ") for line in _ROWS.strip().splitlines())
}  # day -> (name, source)

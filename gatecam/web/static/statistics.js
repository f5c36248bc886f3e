// The statistics page: people of a range of days, by hour, day, weekday, camera or door. The address keeps what is chosen.
"use strict";
const FIELDS = ["first", "last", "door", "camera", "by"], DAYS = 30;
const dayOf = (moment) => `${moment.getFullYear()}-${String(moment.getMonth() + 1).padStart(2, "0")}-${String(moment.getDate()).padStart(2, "0")}`;

function query() {
  return new URLSearchParams(FIELDS.filter((name) => $(name).value).map((name) => [name, $(name).value]));
}
function link() {
  $("csv").href = `api/statistics.csv?${query()}`;
}
async function show() {
  const asked = query(), told = await ask(`/api/statistics?${asked}`);
  if (`${asked}` !== `${query()}`) return;
  history.replaceState(null, "", `?${asked}`);
  $("range").textContent = told.range;
  $("summary").textContent = told.summary;
  $("chart").innerHTML = told.chart;
  $("numbers").innerHTML = told.table;
  for (const [id, names] of [["camera", told.cameras], ["door", told.doors]]) {
    const known = new Set([...$(id).options].map((option) => option.value));
    for (const name of names) if (!known.has(name)) $(id).add(new Option(name));
  }
  $("of-door").hidden = $("by-door").hidden = !told.doors.length; // only where many doors share the page
}

const given = new URLSearchParams(location.search), first = new Date();
first.setDate(first.getDate() - DAYS + 1);
$("first").value = dayOf(first);
$("last").value = dayOf(new Date());
for (const id of ["camera", "door"]) if (given.get(id)) $(id).add(new Option(given.get(id)));
for (const name of FIELDS) if (given.get(name)) $(name).value = given.get(name);
link();
$("filter").onsubmit = (event) => { event.preventDefault(); show().catch(tell("summary")); };
$("filter").oninput = link;
$("print").onclick = () => print();
session().then(show).catch(tell("summary"));
